"""Data, networks, and how one network is trained."""
