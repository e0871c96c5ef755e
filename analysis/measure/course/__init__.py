"""How a search went: what it found when, whom it stopped, and what to be wary of in its winners."""
