"""Measures why forests and boosting fail on codes, one possible cause at a time."""
