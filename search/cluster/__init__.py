"""The Ray cluster that a search runs on: its nodes and GPUs."""
