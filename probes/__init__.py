"""Codes of a trained autoencoder, and classifiers on them."""
