"""Classifiers of codes: accuracy, the seed report's perceptrons, few-shot."""
