"""Image sets: read, split, cached, and put on a device."""

from models.data.sets import DATASETS, DataError, ImageData, load, load_unseen, own_path

__all__ = ["DATASETS", "DataError", "ImageData", "load", "load_unseen", "own_path"]
