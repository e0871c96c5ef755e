"""The Ray cluster of a session: how it is joined, what its nodes must see, how much it holds."""
