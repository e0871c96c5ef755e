"""`docs/reference.md`, made from the docstrings of the public names.

python -m tests.reference_page
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import textwrap
from functools import cached_property
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
INTRODUCTION = """# Reference

The names to use from Python. This page is made from their docstrings by

```
python -m tests.reference_page
```

[The notebook](notebook.ipynb) uses them on digits.
"""
PARTS = {
    "Searching": [
        "search.autoencoders.search",
        "search.classifiers.search",
        "search.latent_probes.search",
    ],
    "What a search found": [
        "search.session.result.SearchResult",
        "search.session.result.BestAutoencoder",
        "search.session.result.BestClassifier",
        "search.session.result.BestProbe",
    ],
    "Trained networks": ["models.load", "models.export_onnx", "probes.CodeFeatures"],
    "Data, and one network without a search": [
        "models.data.load",
        "models.data.ImageData",
        "models.training.train",
        "models.training.TrainingConfig",
        "models.networks.autoencoder.AutoencoderConfig",
        "models.networks.classifier.ClassifierConfig",
    ],
    "Errors": [
        "search.task.settings.UsageError",
        "models.data.DataError",
        "models.LoadError",
        "search.store.files.FolderError",
        "search.record.ledger.LedgerError",
        "search.tune.limits.SearchStopped",
    ],
}


def page() -> str:
    parts = [INTRODUCTION]
    for title, names in PARTS.items():
        parts += [f"## {title}\n", *map(_entry, names)]
    return "\n".join(parts)


def _entry(name: str) -> str:
    module, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(module), last)
    is_error = isinstance(found, type) and issubclass(found, Exception)
    is_data = dataclasses.is_dataclass(found)
    signature = "" if is_error or is_data and not _is_config(found) else _signature(found)
    lines = [f"### `{name}`\n"]
    if signature:
        lines.append(f"```\n{_wrapped(last + signature)}\n```\n")
    lines.append(_text(found))
    if isinstance(found, type) and not is_error and not _is_config(found):
        lines += [
            f"- `{label}`: {' '.join(inspect.getdoc(member).split())}"
            for label, member in _members(found)
        ]
    return "\n".join(lines).rstrip() + "\n"


def _wrapped(call: str) -> str:
    """A call on several lines if it is long."""
    return textwrap.fill(call, 96, subsequent_indent="    ", break_long_words=False)


def _is_config(found: type) -> bool:
    return found.__name__.endswith("Config")


def _members(found: type) -> list[tuple[str, object]]:
    """The public methods and properties that have a docstring, in order of the source."""
    kinds = [k for k in reversed(found.__mro__) if k.__module__ == found.__module__]
    members = {name: value for kind in kinds for name, value in vars(kind).items()}
    labelled = []
    for name, value in members.items():
        if name.startswith("_") or not inspect.getdoc(value):
            continue
        if isinstance(value, property | cached_property):
            labelled.append((name, value))
        elif inspect.isfunction(value):
            labelled.append((f"{name}{_signature(value, method=True)}", value))
    return labelled


def _signature(found: object, method: bool = False) -> str:
    signature = inspect.signature(found)
    parameters = list(signature.parameters.values())[1 if method else 0 :]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(plain))


def _text(found: object) -> str:
    """The docstring as Markdown: a line that begins with the name of an argument is an item."""
    lines = (inspect.getdoc(found) or "").splitlines()
    lines = [re.sub(r"^ {4}", "  ", line) for line in lines]
    return "\n".join(re.sub(r"^([a-z_]+): ", r"- `\1`: ", line) for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
