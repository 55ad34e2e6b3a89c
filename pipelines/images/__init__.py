"""Pictures of any domain: reading them, how they look, and drawing them for people."""
