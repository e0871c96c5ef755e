"""The search of classifiers of codes: its space, its presets, its command.

In Python, `search(...)` runs the same search as the command and returns what it found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.session.result import SearchResult

__all__ = ["search"]


def search(images: Any = None, labels: Any = None, **flags: Any) -> SearchResult:
    """Search classifiers of an autoencoder's codes; `best("mlp-128")` of the result is the best
    perceptron on codes of 128 units.

    images: an array (N, height, width), or (N, height, width, 3) in colour, of integers from 0 to
        255 or floats from 0 to 1; the name of a data set, such as "mnist"; or the path of a .npz
        file or a folder of images. None: Omniglot, as for the command.
    labels: the classes (N,) of an array of images.
    flags: what `python -m search.latent_probes --help` lists, with underscores:
        `search(images, num_samples=20, set={"dropout": (0.0, 0.5)}, name="first")`. A pair in
        `set` is a range, a list holds choices. With `name` and `resume=True` a search goes on.

    Progress is printed; in Jupyter it is one block that is redrawn. A Ray that this process has
    joined is used, and stays joined.

    Raises UsageError, DataError, FolderError or LedgerError, with one line, for what cannot be
    used, and SearchStopped if the search cannot go on. An interrupt ends it cleanly, with
    KeyboardInterrupt.
    """
    from search.latent_probes.command import COMMAND
    from search.session.python import search_from_python

    return search_from_python(COMMAND, images, labels, flags)
