"""The command: it writes after every setting, and continues an earlier run."""

import json
from dataclasses import replace

from probes.autopsy import command
from probes.autopsy.levels import Level
from probes.autopsy.plan import Setting


def test_it_writes_as_it_goes_and_goes_on_without_measuring_again(plan, monkeypatch):
    base = Setting(classes=12, autoencoder="untrained")
    levels = [
        Level("registration", "centred", base, ("1-nn", "lda")),
        Level("code size", "128", base, ("1-nn",)),
        Level("drawings per class", "3", replace(base, drawings=3), ("1-nn",)),
    ]
    monkeypatch.setattr(command, "all_levels", lambda *_: levels)
    command.run(replace(plan, seeds=1), base)
    path = plan.out / "autopsy.json"
    first = json.loads(path.read_text())
    assert first["finished"] and len(first["rows"]) == 4
    monkeypatch.setattr(command, "measure", None)  # nothing is measured again
    command.run(replace(plan, seeds=1), base)
    assert json.loads(path.read_text())["rows"] == first["rows"]


def test_data_that_cannot_be_had_is_one_line_and_status_2(tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise command.DataError("no such files: give --data-dir")

    monkeypatch.setattr(command, "load_data", refuse)
    assert command.main(["--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--data-dir" in err
