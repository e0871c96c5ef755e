"""Glyphs: characters of an invented alphabet, each drawn by twenty drawers.

They replace Omniglot where it cannot be downloaded. A character is one to four smooth strokes. A
drawer has a slant, a tilt, a thickness, proportions and an unsteadiness. Every drawing moves and
bends the strokes by new random amounts.

The bytes are the same on every machine. Random numbers come from `RandomState.random_sample`, which
NumPy keeps unchanged. The arithmetic is elementwise + - * / sqrt and comparisons only, which IEEE
754 defines to the last bit. Sums have a fixed order (no BLAS, no `np.sum`). Rotations are computed
from the tangent of half the angle, without sin and cos. Strokes are drawn in integers.
"""

from typing import NamedTuple

import numpy as np

CHARACTERS, DRAWERS = 964, 20  # as many as Omniglot's background set
VERSION = 1  # raise it when the bytes change

SIDE = 28
STROKES, KNOTS = 4, 6
SAMPLES = 16  # points per curve piece: at most half a pixel apart, so the line has no gaps
GRID = 16  # points are rounded to 1/16 pixel
MARGIN = 3.0  # pixels: points stay this far inside the image, so no ink is cut off
REACH = 2  # pixels from a point to its farthest ink: the widest pen plus its soft edge
FAR = np.int16(30_000)  # stands for the squared distance, in grid units, of far pixels


class Hand(NamedTuple):
    """How each drawer writes: float64 arrays (drawers,)."""

    slant: np.ndarray  # horizontal shift per unit of height
    tilt: np.ndarray  # tangent of half the angle of rotation
    width: np.ndarray  # horizontal pixels per unit of the square [-1, 1]
    height: np.ndarray  # vertical pixels per unit of the square [-1, 1]
    pen: np.ndarray  # pen radius in pixels
    unsteadiness: np.ndarray  # standard deviation of a stroke's shift, in the square's units


def draw_glyphs(characters: int = CHARACTERS, seed: int = 0) -> np.ndarray:
    """Draws `characters` characters by each drawer.

    Returns uint8 (characters, DRAWERS, 28, 28), ink = 255. With the same seed, a larger
    set begins with the characters of a smaller set.
    """
    knots, written = _alphabet(characters, _stream(seed, 0))
    hand = _hands(_stream(seed, 1))
    shaken = _shake(knots, hand.unsteadiness, _stream(seed, 2))  # (C, D, S, K, 2)
    drawings = np.empty((characters, DRAWERS, SIDE, SIDE), np.uint8)
    for c in range(characters):  # one character at a time stays inside the processor's cache
        pixels = _place(_curve(shaken[c][:, written[c]]), hand)  # (D, points, 2)
        drawings[c] = _ink(_squared_distance(pixels), hand.pen)
    return drawings


def _stream(seed: int, purpose: int) -> np.random.RandomState:
    return np.random.RandomState([seed, purpose])


def _uniform(stream: np.random.RandomState, low: float, high: float, *shape: int) -> np.ndarray:
    return low + (high - low) * stream.random_sample(shape)


def _normal(stream: np.random.RandomState, *shape: int) -> np.ndarray:
    """Nearly normal numbers of variance 1: sums of three uniform numbers, in a fixed order."""
    a, b, c = np.moveaxis(_uniform(stream, -1, 1, *shape, 3), -1, 0)
    return a + b + c


def _rotate(vector: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Rotates vectors (..., 2). `t` (...) is the tangent of half the angle."""
    x, y = vector[..., 0], vector[..., 1]
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _alphabet(characters: int, stream: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Control points (C, STROKES, KNOTS, 2) in the square [-1, 1], and which strokes
    each character has, bool (C, STROKES).

    A stroke is a line, a hook, an arc or a loop, because its direction changes at a nearly constant
    rate. Most strokes begin on the stroke before them, as in letters.
    """
    # A row of numbers for each character: the first ones do not depend on how many follow.
    dice = stream.random_sample((characters, STROKES, KNOTS + 9))
    knots = np.zeros((characters, STROKES, KNOTS, 2))
    for s in range(STROKES):
        start, fork, joins, x, y, way, bend, length = dice[:, s, :8].T
        position = np.stack([2.4 * x - 1.2, 2.4 * y - 1.2], -1)
        if s:
            joint = knots[np.arange(characters), s - 1, (start * KNOTS).astype(int)]
            position = np.where((joins < 0.6)[:, None], joint, position)
        heading = _rotate(np.tile([1.0, 0.0], (characters, 1)), 4 * way - 2)
        heading = np.where((fork < 0.5)[:, None], heading, -heading)
        bend = 0.9 * (2 * bend - 1) * np.abs(2 * bend - 1)  # squared: many are straight
        for k in range(KNOTS):
            knots[:, s, k] = position
            heading = _rotate(heading, bend + 0.35 * (dice[:, s, 8 + k] - 0.5))
            position = position + (0.3 + 0.4 * length)[:, None] * heading
    count = 1.4 + (STROKES - 0.4) * dice[:, 0, -1]  # rounded down: a single stroke is rare
    written = np.arange(1, STROKES + 1) <= count[:, None]
    return _fit(knots, written), written


def _fit(knots: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Centres each character and scales it: its longer side fills the square [-1, 1]."""
    shown = written[:, :, None, None]
    low = np.where(shown, knots, np.inf).min((1, 2), keepdims=True)
    high = np.where(shown, knots, -np.inf).max((1, 2), keepdims=True)
    return (knots - (low + high) / 2) / ((high - low).max(-1, keepdims=True) / 2)


def _hands(stream: np.random.RandomState) -> Hand:
    ranges = ((-0.3, 0.5), (-0.1, 0.1), (8.0, 11.5), (8.5, 11.5), (0.5, 1.1), (0.04, 0.08))
    return Hand(*(_uniform(stream, low, high, DRAWERS) for low, high in ranges))


def _shake(knots: np.ndarray, amount: np.ndarray, stream: np.random.RandomState) -> np.ndarray:
    """Control points of each drawing (C, D, S, K, 2): shifts whole strokes, then each point."""
    noise = _normal(stream, len(knots), DRAWERS, STROKES, KNOTS + 1, 2)
    noise = noise * amount[:, None, None, None]
    return knots[:, None] + noise[..., :1, :] + 0.7 * noise[..., 1:, :]  # whole stroke, each knot


def _curve(knots: np.ndarray) -> np.ndarray:
    """Quadratic B-spline: control points (..., KNOTS, 2) to points (..., pieces * SAMPLES, 2)."""
    t = ((np.arange(SAMPLES) + 0.5) / SAMPLES)[:, None]
    a, b, c = (knots[..., i : KNOTS - 2 + i, None, :] for i in range(3))
    points = (1 - t) * (1 - t) / 2 * a + (0.5 + t - t * t) * b + t * t / 2 * c
    return points.reshape(*knots.shape[:-2], -1, 2)


def _place(points: np.ndarray, hand: Hand) -> np.ndarray:
    """Points (D, S, P, 2) of the square [-1, 1] as image positions (D, S * P, 2), int16, in
    units of 1/GRID pixel."""
    slant, tilt, width, height, *_ = (drawer[:, None, None] for drawer in hand)
    x, y = points[..., 0], points[..., 1]
    turned = _rotate(np.stack([x - slant * y, y], -1), tilt)
    pixels = (SIDE - 1) / 2 + turned * np.stack([width, height], -1)
    pixels = np.clip(pixels, MARGIN, SIDE - 1 - MARGIN)
    return np.floor(pixels * GRID + 0.5).astype(np.int16).reshape(DRAWERS, -1, 2)


def _squared_distance(points: np.ndarray) -> np.ndarray:
    """Squared distance of every pixel to the nearest point, int16 (D, 28, 28), in grid units."""
    field = np.full((DRAWERS, SIDE, SIDE), FAR)
    near = np.arange(-REACH, REACH + 1, dtype=np.int16)
    around = (points + GRID // 2)[..., None] // GRID + near  # (D, P, 2, 5) pixels
    gap = around * GRID - points[..., None]
    squared = gap[:, :, 1, :, None] ** 2 + gap[:, :, 0, None, :] ** 2  # (D, P, 5, 5)
    drawer = np.arange(DRAWERS)[:, None, None, None]
    np.minimum.at(field, (drawer, around[:, :, 1, :, None], around[:, :, 0, None, :]), squared)
    return field


def _ink(squared: np.ndarray, pen: np.ndarray) -> np.ndarray:
    """Full ink inside the pen's radius; at the edge it falls to zero within one pixel."""
    distance = np.sqrt(squared.astype(np.float64)) / GRID  # pixels
    return np.clip(256 * (pen[:, None, None] + 0.5 - distance), 0, 255).astype(np.uint8)
