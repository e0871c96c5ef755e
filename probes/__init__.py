"""Codes of a trained autoencoder, and classifiers on them.

`CodeFeatures(path)` is a scikit-learn transformer from images to codes.
"""

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.features import CodeFeatures

__all__ = ["CodeFeatures"]

if sys.argv[:1] == ["-m"]:  # Python is starting a command of this package.
    # Run it by its path: an import by name would find the `models.py` that hides it.
    _start = runpy.run_path(str(Path(__file__).parents[1] / "models" / "start.py"))
    _start["start_command"]("models", "probes")

    from models.ending import end_while_imported
    from models.streams import open_missing_streams

    open_missing_streams()
    end_while_imported()


def __getattr__(name: str) -> Any:
    """Import scikit-learn and torch only when the transformer is asked for: the report imports this
    package without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from probes.features import CodeFeatures

    return CodeFeatures
