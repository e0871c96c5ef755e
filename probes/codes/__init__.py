"""Codes of a trained autoencoder, and how well they tell classes apart without a trained
classifier."""
