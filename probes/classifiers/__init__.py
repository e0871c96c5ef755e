"""Classifiers of codes, one file for each."""
