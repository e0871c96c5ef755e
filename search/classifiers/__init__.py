"""The search of classifiers: its space, its presets, its command.

In Python, `search(...)` runs the same search as the command and returns what it found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.session.result import SearchResult

__all__ = ["search"]


def search(images: Any = None, labels: Any = None, **flags: Any) -> SearchResult:
    """Search classifiers of images; `best()` of the result is the best one.

    images: an array (N, height, width), or (N, height, width, 3) in colour, of integers from 0 to
        255 or floats from 0 to 1; the name of a data set, such as "mnist"; or the path of a .npz
        file or a folder of images. None: MNIST, as for the command.
    labels: the classes (N,) of an array of images.
    flags: what `python -m search.classifiers --help` lists, with underscores:
        `search(images, num_samples=20, set={"depth": (2, 8)}, name="first")`. A pair in `set` is a
        range, a list holds choices. With `name` and `resume=True` a search goes on.

    Progress is printed; in Jupyter it is one block that is redrawn. A Ray that this process has
    joined is used, and stays joined.

    Raises UsageError, DataError, FolderError or LedgerError, with one line, for what cannot be
    used, and SearchStopped if the search cannot go on. An interrupt ends it cleanly, with
    KeyboardInterrupt.
    """
    from search.classifiers.command import COMMAND
    from search.session.python import search_from_python

    return search_from_python(COMMAND, images, labels, flags)
