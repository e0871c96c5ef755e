"""Hyperparameter searches with Ray Tune: the only package that imports ray."""

import runpy
import sys
from pathlib import Path

if sys.argv[:1] == ["-m"]:  # Python is starting a command of this package.
    # Run by its path: by its name, it would be looked for in the `models.py` that hides it.
    _start = runpy.run_path(str(Path(__file__).parents[1] / "models" / "start.py"))
    _start["start_command"]("models", "probes", "search")

    from models.ending import end_while_imported
    from models.streams import open_missing_streams

    open_missing_streams()
    end_while_imported()
