"""What a kind of search must say of itself."""
