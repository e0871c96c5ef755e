"""Searchers of other libraries: `pip install '.[rivals]'`. A file for each library."""
