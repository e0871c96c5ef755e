"""Image sets: read, split, cached, and put on a device."""

from models.data.sets import DATASETS, DataError, ImageData, load, load_unseen

__all__ = ["DATASETS", "DataError", "ImageData", "load", "load_unseen"]
