"""Recorded learning curves, replayed through real searchers and schedulers."""
