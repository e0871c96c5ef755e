"""How own images are split: as their file says, else 80/10/10."""

from __future__ import annotations

import numpy as np

from models.data.cache import TEST, TRAIN, VALIDATION, Pack
from models.data.errors import DataError

SPLIT_SEED = 0  # constant, so that results of different runs compare
EVERY = 10  # every tenth image validates, and every tenth tests
FEWEST = 2  # images of a part: a single image has no spread

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # indices to train, validate, test


def split_own(pack: Pack, where: str) -> tuple[str, Parts]:
    """The name of the split and its parts.

    `file`: as the file says; without validation images, a tenth of the training images validate.
    `grouped`: whole groups, about 80/10/10 of the images. `stratified`: 80/10/10 of each label; a
    label with a single image trains. `random`: 80/10/10.

    Raises DataError, which begins with `where`, if a part has too few images, or the file's split
    divides a group or has no test images.
    """
    if pack.parts is not None:
        name, parts = "file", pack.parts.copy()
        check_file_split(pack, where)
    else:
        name = "grouped" if pack.drawers is not None else "stratified"
        name = name if pack.drawers is not None or pack.class_names else "random"
        parts = _divided(pack, np.arange(len(pack.images)), (VALIDATION, TEST))
    if not (parts == VALIDATION).any():
        training = np.flatnonzero(parts == TRAIN)
        parts[training] = _divided(pack, training, (VALIDATION,))
    counts = [int((parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)]
    if min(counts) < FEWEST:
        raise DataError(
            f"{where}: {len(parts):,} images make {counts[0]:,} to train, {counts[1]:,} to "
            f"validate and {counts[2]:,} to test, and each part needs {FEWEST}: "
            f"{_remedy(pack, name)}"
        )
    first, second, third = (np.flatnonzero(parts == part) for part in (TRAIN, VALIDATION, TEST))
    return name, (first, second, third)


def _remedy(pack: Pack, split: str) -> str:
    """What a person can do who has too few images for this split."""
    single = np.bincount(pack.labels) == 1
    if split == "stratified" and single.any():
        return (
            f"{single.sum():,} of {len(single):,} labels have a single image, which trains; add "
            "images, or leave the labels out"
        )
    return "add images or groups" if split == "grouped" else "add images"


def check_file_split(pack: Pack, where: str) -> None:
    """Raise DataError for a split without test images, or one that divides a group."""
    assert pack.parts is not None
    if not (pack.parts == TEST).any():
        raise DataError(
            f"{where}: its split has no test images; mark some as test, or leave the split out for "
            "80/10/10"
        )
    if pack.drawers is None:
        return
    for group in np.unique(pack.drawers):
        if len(found := np.unique(pack.parts[pack.drawers == group])) > 1:
            names = " and ".join(("train", "validation", "test")[part] for part in found)
            row = int(np.flatnonzero(pack.drawers == group)[0])
            raise DataError(
                f"{where}: its split divides a group, which must stay whole: the group of image "
                f"{row} has images in {names}"
            )


def _divided(pack: Pack, rows: np.ndarray, others: tuple[int, ...]) -> np.ndarray:
    """The part of each of the images `rows`: a tenth to each part in `others`, the rest trains."""
    if pack.drawers is not None:
        return _by_group(pack.drawers[rows], others)
    return _by_label(pack.labels[rows], others)


def _by_label(labels: np.ndarray, others: tuple[int, ...]) -> np.ndarray:
    """Each label's images in random order, label after label; then every tenth of this line goes
    to the first part, and every tenth, from the sixth on, to the second."""
    stream = np.random.RandomState(SPLIT_SEED)
    order = stream.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    order = order[counts[labels[order]] > 1]  # a label with a single image must be trained on
    parts = np.full(len(labels), TRAIN)
    for place, part in enumerate(others):
        parts[order[place * EVERY // 2 :: EVERY]] = part
    return parts


def _by_group(groups: np.ndarray, others: tuple[int, ...]) -> np.ndarray:
    """Whole groups, the largest first, each to the part that lacks most images of its share."""
    stream = np.random.RandomState(SPLIT_SEED)
    names, counts = np.unique(groups, return_counts=True)
    order = stream.permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    share = {TRAIN: 1 - len(others) / EVERY, **dict.fromkeys(others, 1 / EVERY)}
    lacking = {part: fraction * len(groups) for part, fraction in share.items()}
    empty = list(share)
    parts = np.full(len(groups), TRAIN)
    for number, group in enumerate(order):
        # The last groups go to parts that have none yet.
        among = empty if len(order) - number <= len(empty) else list(share)
        part = max(among, key=lambda each: lacking[each])
        lacking[part] -= counts[group]
        empty = [each for each in empty if each != part]
        parts[groups == names[group]] = part
    return parts
