"""Codes of a trained autoencoder, and what they are worth without a trained classifier."""
