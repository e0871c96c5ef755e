"""A comparison of policies as text."""

from __future__ import annotations

from collections.abc import Sequence

from search.simulate.policies import POLICIES


def as_text(found: dict) -> str:
    """What `regret.compare` found."""
    lines = [
        f"{found['configurations']} recorded configurations of {found['max_epochs']} epochs, "
        f"{found['seeds']} seeds, {found['workers']} worker(s); a configuration and its nearest "
        f"neighbour agree with rank correlation {found['neighbour_agreement']:.2f}",
        "",
        "Regret: per cent above the best recorded, geometric mean over code sizes; median over "
        "seeds [bootstrap 95 % interval]",
        *_by_epochs(found["epochs"], found["regret_percent"]),
        "",
        f"Difference from {found['against']}, seed by seed: by how many per cent the choice is "
        f"worse than the choice of {found['against']}; then the number of seeds in which it is "
        "better : worse",
        *_by_epochs(found["epochs"], found["difference_percent"]),
        "",
        *(f"{name}: {POLICIES[name].meaning}" for name in found["regret_percent"]),
    ]
    return "\n".join(lines)


def _by_epochs(epochs: list[int], rows: dict[str, list[dict]]) -> list[str]:
    return columns(
        ["epochs trained", *map(str, epochs)],
        [[name, *map(_cell, values)] for name, values in rows.items()],
    )


def _cell(value: dict) -> str:
    text = f"{value['median']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"
    return text + (f" {value['better']}:{value['worse']}" if "better" in value else "")


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column is set to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if position else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
