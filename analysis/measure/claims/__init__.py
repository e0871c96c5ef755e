"""Each claim of the seed report, judged once on a run: `claims(run)`."""

from __future__ import annotations

from analysis.measure.claims.autoencoders import autoencoder_claims
from analysis.measure.claims.claim import Claim
from analysis.measure.claims.classifiers import classifier_claims
from analysis.measure.claims.probes import probe_claims
from analysis.read.runs import Run

_BY_COMMAND = {
    "autoencoders": autoencoder_claims,
    "classifiers": classifier_claims,
    "latent_probes": probe_claims,
}


def claims(run: Run) -> tuple[Claim, ...]:
    """What the seed report says that a run of this command can test, in the report's order."""
    return _BY_COMMAND[run.command](run)
