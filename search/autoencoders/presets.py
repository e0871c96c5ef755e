"""The presets of a search of autoencoders: the report's models, and a good one per code size."""

from __future__ import annotations

from models.networks.presets import AUTOENCODER_PRESETS, AUTOENCODER_STARTS
from search.task.space import Preset


def autoencoder_presets(latent_sizes: tuple[int, ...], for_probes: bool) -> tuple[Preset, ...]:
    """The report's models, at the largest code size if the search lacks theirs, and the start
    for what is searched at each code size.

    A search for probes begins with its starts, the other one with the report's models."""
    largest = max(latent_sizes)
    start = "unwarping" if for_probes else "linear-path"
    starts = tuple(
        Preset(f"{start}-{size}", {**AUTOENCODER_STARTS[start], "latent_size": size})
        for size in latent_sizes
    )
    reported = tuple(
        Preset(name, {**values, "latent_size": size if size in latent_sizes else largest})
        for name, values in AUTOENCODER_PRESETS.items()
        for size in (values["latent_size"],)
    )
    return starts + reported if for_probes else reported + starts
