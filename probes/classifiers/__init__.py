"""Classifiers of codes, an estimator a file."""
