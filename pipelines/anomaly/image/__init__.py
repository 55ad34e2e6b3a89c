"""Strange pictures, and what is strange in them."""
