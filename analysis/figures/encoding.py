"""Figures as files: PNG, and SVG where it is asked for. Equal figures give equal bytes."""

from __future__ import annotations

import io
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.style import STYLE
from models.machine import usable_cores

_FEWEST = 4  # figures that are worth a second process
_drawn: Sequence[Figure] = ()  # what the processes of `encoded` share: a figure cannot be sent


def encoded(figures: Mapping[str, Figure], with_svg: bool = False) -> dict[str, bytes]:
    """The PNG of each figure, and its SVG if wanted, by the path without an ending.

    Figures are encoded on all cores where a process can be forked cheaply, else one by one.
    """
    global _drawn
    workers = min(usable_cores(), len(figures))
    wanted = [with_svg] * len(figures)
    _drawn = [*figures.values()]
    try:
        if workers < 2 or len(figures) < _FEWEST or sys.platform != "linux":
            found = [*map(_files, range(len(figures)), wanted)]
        else:
            sys.stdout.flush()  # a forked process would print what waits in the buffer once more
            fork = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(workers, mp_context=fork) as pool:
                found = [*pool.map(_files, range(len(figures)), wanted)]
    finally:
        _drawn = ()
    named = zip(figures, found, strict=True)
    return {f"{path}.{end}": made for path, files in named for end, made in files.items()}


def png(figure: Figure) -> bytes:
    """The figure as a PNG, of 256 colours unless it shows photographs, which is a third of the
    bytes."""
    canvas, packed = FigureCanvasAgg(figure), io.BytesIO()
    with matplotlib.style.context(STYLE, after_reset=True):
        _lay_out(figure)
        canvas.draw()
    # The background is opaque, so alpha says nothing.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    if not _has_photographs(figure):
        # Undithered: a flat colour stays flat.
        picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(packed, format="PNG")
    return packed.getvalue()


def _has_photographs(figure: Figure) -> bool:
    """Whether images in colour are shown, which need more than 256 colours."""
    shown = [image.get_array() for axes in figure.axes for image in axes.images]
    return any(array is not None and array.ndim == 3 for array in shown)


def svg(figure: Figure) -> bytes:
    """The figure as an SVG, text as text."""
    buffer = io.BytesIO()
    style = {**STYLE, "svg.hashsalt": "autoencoder-search", "svg.fonttype": "none"}
    with matplotlib.style.context(style, after_reset=True):
        _lay_out(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _files(place: int, with_svg: bool) -> dict[str, bytes]:
    figure = _drawn[place]
    return {"png": png(figure), **({"svg": svg(figure)} if with_svg else {})}


def _lay_out(figure: Figure) -> None:
    """Let the layout engine do its work once, without the drawing that it would begin with."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
