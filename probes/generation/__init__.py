"""Distances between sets of images, and the pictures of what an autoencoder learned."""
