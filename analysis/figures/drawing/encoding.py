"""Figures as files: PNG, and SVG where it is asked for. Equal figures give equal bytes."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import IO

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.drawing.style import own_style
from models.ending import SIGNALS
from models.machine import usable_cores

_A_PROCESS = 3  # figures that are worth a process: to fork one takes as long as half a figure
_WHITE = 0xFFFFFF


@dataclass(frozen=True)
class _Started:
    """Figures that a process of its own encodes into a file without a name."""

    figures: Mapping[str, Figure]
    process: BaseProcess
    file: IO[bytes]


class Encoder:
    """Encodes figures on the other cores while the next ones are drawn, where a process can be
    forked cheaply and there are cores; else one by one, as they come."""

    def __init__(self, with_svg: bool = False) -> None:
        """Makes an SVG of each figure too if `with_svg`."""
        self._with_svg = with_svg
        cores = usable_cores() if sys.platform == "linux" else 1
        self._at_once = cores if cores > 1 else 0
        self._order: list[str] = []
        self._waiting: dict[str, Figure] = {}
        self._started: list[_Started] = []
        self._found: dict[str, dict[str, bytes]] = {}

    def add(self, path: str, figure: Figure) -> None:
        """Begin to encode a figure, whose files are `path` with an ending each."""
        self._order.append(path)
        self._waiting[path] = figure
        if not self._at_once:
            self._encode_here()
        elif len(self._waiting) >= _A_PROCESS:
            self._start()

    def files(self) -> dict[str, bytes]:
        """The content of all files by their path, in the order in which the figures came."""
        self._encode_here()
        while self._started:
            self._take_ended()
        return {
            f"{path}.{end}": made for path in self._order for end, made in self._found[path].items()
        }

    def _encode_here(self) -> None:
        self._found |= _files(self._waiting, self._with_svg)
        self._waiting = {}

    def _start(self) -> None:
        while len(self._started) >= self._at_once:
            self._take_ended()
        sys.stdout.flush()  # a forked process would print what waits in the buffer once more
        figures, self._waiting = self._waiting, {}
        file = tempfile.TemporaryFile()
        process = multiprocessing.get_context("fork").Process(
            target=_encode_into, args=(file, figures, self._with_svg), daemon=True
        )
        process.start()
        self._started.append(_Started(figures, process, file))

    def _take_ended(self) -> None:
        """Wait for a process, and take what all ended ones made. Figures whose process died, for
        example for want of memory, are encoded here."""
        connection.wait([each.process.sentinel for each in self._started])
        for each in [*self._started]:
            each.process.join(0)
            if each.process.exitcode is None:
                continue
            with each.file as file:
                file.seek(0)
                died = each.process.exitcode != 0
                self._found |= _files(each.figures, self._with_svg) if died else pickle.load(file)
            self._started.remove(each)


def png(figure: Figure) -> bytes:
    """The figure as a PNG, of 256 colours unless it shows photographs, which is a third of the
    bytes."""
    canvas, packed = FigureCanvasAgg(figure), io.BytesIO()
    with own_style():
        _lay_out(figure)
        canvas.draw()
    # The background is opaque, so alpha says nothing.
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    picture = Image.fromarray(pixels) if _has_photographs(figure) else _of_few_colours(pixels)
    picture.save(packed, format="PNG")
    return packed.getvalue()


def _of_few_colours(pixels: np.ndarray) -> Image.Image:
    """Pixels (height, width, 3) in 256 colours, of which the last is white. The others are chosen
    for the pixels that are not white, which are few, so this takes a quarter of the time that the
    whole picture takes."""
    colours = pixels.reshape(-1, 3)
    packed = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    ink = np.flatnonzero(packed != _WHITE)
    places = np.full(len(colours), 255, np.uint8)
    palette: list[int] = []
    if len(ink):
        # Undithered: a flat colour stays flat.
        inked = Image.fromarray(colours[ink][None]).quantize(255, dither=Image.Dither.NONE)
        places[ink], palette = np.asarray(inked)[0], inked.getpalette() or []
    picture = Image.fromarray(places.reshape(pixels.shape[:2]), "P")
    picture.putpalette([*palette[: 3 * 255], *[0] * (3 * 255 - len(palette)), 255, 255, 255])
    return picture


def _has_photographs(figure: Figure) -> bool:
    """Whether images in colour are shown, which need more than 256 colours."""
    shown = [image.get_array() for axes in figure.axes for image in axes.images]
    return any(array is not None and array.ndim == 3 for array in shown)


def svg(figure: Figure) -> bytes:
    """The figure as an SVG, text as text."""
    buffer = io.BytesIO()
    own = {"svg.hashsalt": "autoencoder-search", "svg.fonttype": "none"}
    with own_style(), matplotlib.rc_context(own):
        _lay_out(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _files(figures: Mapping[str, Figure], with_svg: bool) -> dict[str, dict[str, bytes]]:
    """The files of each figure by their endings."""
    return {
        path: {"png": png(figure), **({"svg": svg(figure)} if with_svg else {})}
        for path, figure in figures.items()
    }


def _encode_into(file: IO[bytes], figures: Mapping[str, Figure], with_svg: bool) -> None:
    """In a process of its own, which leaves signals to the process that started it: it ends
    within seconds."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    pickle.dump(_files(figures, with_svg), file)
    file.flush()


def _lay_out(figure: Figure) -> None:
    """Let the layout engine do its work once, without the drawing that it would begin with."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
