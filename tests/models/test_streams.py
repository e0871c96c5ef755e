"""A reader that goes away, and streams that were never open."""

from __future__ import annotations

import subprocess
import sys
import textwrap

COMMAND = """
    import sys
    from models.streams import steady_streams
    sys.stdin.readline()
    with steady_streams("a.command"):
        for number in range(3):
            print("line", number, flush=True)
            print("error", number, file=sys.stderr)
    open(sys.argv[1], "w").write("done")
"""


def run(tmp_path, lost: str) -> tuple[int, str]:
    """Status and what is left to read of a command whose reader of a stream goes away."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(COMMAND), tmp_path / "done"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    getattr(process, lost).close()
    process.stdin.write("\n")
    process.stdin.close()
    left = process.stderr if lost == "stdout" else process.stdout
    text = left.read()
    assert (tmp_path / "done").read_text() == "done"
    return process.wait(timeout=30), text


def test_a_command_goes_on_without_a_reader_of_its_output_and_says_so(tmp_path):
    status, err = run(tmp_path, "stdout")
    lines = err.splitlines()
    assert status == 0 and len(lines) == 4 and "going on without it" in err
    assert [line for line in lines if line.startswith("error")] == ["error 0", "error 1", "error 2"]


def test_a_command_goes_on_without_a_reader_of_its_errors(tmp_path):
    status, out = run(tmp_path, "stderr")
    assert status == 0 and out.splitlines() == ["line 0", "line 1", "line 2"]


def test_a_file_that_is_opened_never_becomes_standard_output(tmp_path):
    script = (
        "import os; from models.streams import open_missing_streams; open_missing_streams(); "
        f"ledger = open({str(tmp_path / 'ledger')!r}, 'w'); os.write(1, b'from a library'); "
        "print('and from us')"
    )
    done = subprocess.run(["sh", "-c", f'exec {sys.executable} -c "$0" >&- 2>&- <&-', script])
    assert done.returncode == 0 and (tmp_path / "ledger").read_text() == ""
