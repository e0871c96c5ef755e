"""How one network is trained: the loop, what is done to its input, and what is minimised."""
