"""Which run the autoencoders come from, and which code sizes it has."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.data import ImageData
from probes.codes.encoding import load_autoencoder
from search.store.storage import Storage, open_storage
from search.task.labels import require_labels
from search.task.settings import Settings, UsageError

AUTOENCODERS = "autoencoders"  # in the run folder: a resumed search and a reader find them there
SIZES = (1024, 128, 32)  # of the autoencoders that are trained if there is no run


def choose_source(settings: Settings, data: ImageData) -> Settings:
    """Settle the options `autoencoders` and `latent_sizes`: the run that is named, or the newest
    one that fits the data, and the code sizes that it has.

    Raises UsageError if the run that is named lacks an autoencoder that is asked for, or if the
    images have no labels."""
    require_labels(settings, data)
    options = dict(settings.options)
    storage = open_storage(settings.storage_path)
    if options["autoencoders"]:
        run = find_run(options["autoencoders"], storage)
        sizes = _usable_sizes(run, data)
        if not sizes:
            raise UsageError(
                f"--autoencoders {run} has no autoencoder of {data.name} ({data.split} split, "
                f"{'' if data.centred else 'not '}centred) in best/<code size>/: "
                f"make one with python -m search.autoencoders --dataset {shlex.quote(data.name)}"
            )
    else:
        run, sizes = _newest_run(storage, data)
    wanted = options["latent_sizes"] or tuple(sizes) or SIZES
    missing = [str(size) for size in wanted if run and size not in sizes]
    if missing:
        raise UsageError(f"--latent-sizes {' '.join(missing)}: {run} has only {sizes}")
    options.update(autoencoders=_recorded_name(run, storage), latent_sizes=tuple(wanted))
    return replace(settings, options=options)


def find_run(name: str, storage: Storage) -> Path:
    """The folder of the run `name`: a path, or a name in `storage`. Raises UsageError."""
    storage.fetch(f"{name}/best/*")
    for path in (Path(name).expanduser(), storage.root / name):
        if (path / "best").is_dir():
            return path.resolve()
    raise UsageError(f"--autoencoders {name} is no folder of a run of search.autoencoders")


def _recorded_name(run: Path | None, storage: Storage) -> str | None:
    if run is None:
        return None
    # The driver's copy of a run in a bucket has another path in the next session.
    return run.name if "://" in storage.location else str(run)


def _newest_run(storage: Storage, data: ImageData) -> tuple[Path | None, list[int]]:
    storage.fetch("*/best/[0-9]*")
    found = [
        (path.stat().st_mtime, path.parent, sizes)
        for path in storage.root.glob("*/best")
        if not path.parent.name.startswith(".") and (sizes := _usable_sizes(path.parent, data))
    ]
    return max(found)[1:] if found else (None, [])


def _usable_sizes(run: Path, data: ImageData) -> list[int]:
    """Code sizes, largest first, of a run's autoencoders that were trained on the training images
    of `data`."""
    sizes = []
    for folder in run.glob("best/[0-9]*"):
        try:
            network, config = load_autoencoder(folder)
            same = _about(config["data"]) == _about(data.summary())
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            continue
        if same and folder.name == str(network.config.latent_size):
            sizes.append(network.config.latent_size)
    return sorted(sizes, reverse=True)


def _about(summary: Mapping[str, Any]) -> tuple:
    """What two searches must share, so that the autoencoders of one encode the images of the
    other. Versions before 0.3.0 recorded no size: all images had 28 x 28 grey pixels."""
    same = tuple(summary[name] for name in ("name", "split", "centred"))
    size = summary.get("side", 28), summary.get("channels", 1)
    return *same, *size, summary.get("source", "")
