"""What a user should see: items retrieved from all there are."""
