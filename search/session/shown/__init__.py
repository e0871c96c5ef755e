"""Files and words that say how far a running search is."""
