"""A comparison of policies as text."""

from __future__ import annotations

from collections.abc import Sequence

from search.simulate.policies.choices import POLICIES


def as_text(task: str, found: dict) -> str:
    """What `regret.compare` found on a task."""
    lines = [
        f"{task}: {found['configurations']} recorded configurations of {found['max_epochs']} "
        f"epochs, {found['metric']}, {found['seeds']} seeds, {found['workers']} worker(s); a "
        "configuration and its nearest neighbour agree with rank correlation "
        f"{found['neighbour_agreement']:.2f}",
        "",
        "Regret: per cent above the lowest recorded loss, geometric mean over groups; median over "
        "seeds [bootstrap 95 % interval]. Tried: the share of the recorded configurations that "
        "were tried at the end",
        *_regrets(found),
        "",
        f"Difference from {found['against']}, seed by seed: by how many per cent the choice is "
        f"worse than the choice of {found['against']}; then the number of seeds in which it is "
        "better : worse",
        *columns(
            ["epochs trained", *map(str, found["epochs"])],
            [[name, *map(_cell, row)] for name, row in found["difference_percent"].items()],
        ),
    ]
    return "\n".join(lines)


def meanings(policies: list[str]) -> str:
    return "\n".join(f"{name}: {POLICIES[name].meaning}" for name in policies)


def _regrets(found: dict) -> list[str]:
    return columns(
        ["epochs trained", *map(str, found["epochs"]), "tried"],
        [
            [name, *map(_cell, row), f"{found['used_percent'][name]:.0f} %"]
            for name, row in found["regret_percent"].items()
        ],
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
