"""What a probe may use of a machine."""

from __future__ import annotations

GIGABYTE = 2**30


class ProbeTooLarge(Exception):
    """A probe that would need more memory than it may use; the text says how much. Trying it again
    changes nothing."""
