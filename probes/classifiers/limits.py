"""How much memory a probe may use."""

from __future__ import annotations

GIGABYTE = 2**30


class ProbeTooLarge(Exception):
    """A probe needs more memory than it may use. The message says how much. A retry fails too."""
