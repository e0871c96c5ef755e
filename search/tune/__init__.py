"""The one Tuner: what is tried, what is stopped, and what is recorded."""
