"""Policies: searchers with their schedulers, and what a simulated search asks them."""
