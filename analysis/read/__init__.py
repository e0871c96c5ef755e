"""Run folders and the seed report, read into plain data."""
