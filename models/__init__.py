"""Data, networks, and how one network is trained.

`load(folder)` gives the trained network of a folder that a search wrote, and
`export_onnx(network, path)` writes it for other programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.trained import LoadError, export_onnx, load

__all__ = ["LoadError", "export_onnx", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when a network is asked for: the report imports this package without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from models import trained

    return getattr(trained, name)
