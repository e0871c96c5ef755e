"""The presets of a search of autoencoders: the report's models, and a good one per code size."""

from __future__ import annotations

from models.networks.presets import AUTOENCODER_PRESETS, AUTOENCODER_STARTS, SPARSE_PRESETS
from search.task.space import Preset


def autoencoder_presets(
    latent_sizes: tuple[int, ...], for_probes: bool, batch_size: int
) -> tuple[Preset, ...]:
    """The report's models and the sparse ones, at the largest code size if the search lacks theirs,
    and the starts for what is searched at each code size. `batch_size` is that of
    presets without one of their own, where it is searched.

    A search for probes begins with its starts, the other one with the report's models."""
    largest = max(latent_sizes)
    searched = {"batch_size": batch_size} if for_probes else {}
    starts = tuple(
        Preset(f"{start}-{size}", {**searched, **AUTOENCODER_STARTS[start], "latent_size": size})
        for start in (("contrastive", "unwarping") if for_probes else ("linear-path",))
        for size in latent_sizes
    )
    reported, sparse = (
        tuple(
            Preset(name, {**searched, **values, "latent_size": size})
            for name, values in presets.items()
            for own in (values["latent_size"],)
            for size in (own if own in latent_sizes else largest,)
        )
        for presets in (AUTOENCODER_PRESETS, SPARSE_PRESETS)
    )
    return starts + reported + sparse if for_probes else reported + starts + sparse
