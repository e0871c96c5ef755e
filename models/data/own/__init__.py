"""The user's own images: a .npz file, or a folder of image files."""
