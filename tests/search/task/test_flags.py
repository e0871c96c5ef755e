"""The flags that all searches share."""

from __future__ import annotations

import importlib
from dataclasses import fields

import pytest

from search.task.settings import MAY_CHANGE, Settings

SEARCHES = ("autoencoders", "classifiers", "latent_probes")


@pytest.mark.parametrize("search", SEARCHES)
def test_every_shared_setting_has_a_flag_and_a_flag_not_given_is_absent(search):
    command = importlib.import_module(f"search.{search}.command").COMMAND
    assert vars(command.parser().parse_args([])) == {}
    names = {action.dest for action in command.parser()._actions}
    assert {setting.name for setting in fields(Settings)} - {"options"} <= names
    assert {*command.options, *command.budgets(command.default_dataset)["full"]} <= names


@pytest.mark.parametrize("search", SEARCHES)
def test_the_help_can_be_printed(search, capsys):
    command = importlib.import_module(f"search.{search}.command").COMMAND
    with pytest.raises(SystemExit) as stop:
        command.parser().parse_args(["--help"])
    assert stop.value.code == 0 and command.stand_in in capsys.readouterr().out


def test_what_a_session_may_change_are_settings():
    assert {setting.name for setting in fields(Settings)} >= MAY_CHANGE
