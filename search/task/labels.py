"""The check of every search that needs labels."""

from __future__ import annotations

from models.data import ImageData
from search.task.settings import Settings, UsageError


def require_labels(settings: Settings, data: ImageData) -> Settings:
    """`settings` as they are. Raises UsageError for own images without labels."""
    if not data.labelled:
        raise UsageError(
            f"{data.source} has no labels, which a classifier needs: add them (an array `labels`, "
            "or a folder for each class); search.autoencoders needs none"
        )
    return settings
