"""How the tutorials train and search."""
