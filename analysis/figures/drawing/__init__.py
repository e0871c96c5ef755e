"""What all pictures share: their style, and their files."""
