"""A part's log does not grow for ever, and the part goes on writing to it."""

import subprocess
import sys
from pathlib import Path

import pytest

from andon import supervisor


def test_a_log_that_is_too_long_moves_aside_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 100)
    log = tmp_path / "floor.log"
    with log.open("ab") as errors:
        words = "import sys\nfor line in sys.stdin: sys.stderr.write(line); sys.stderr.flush(); print('said', flush=True)"
        part = subprocess.Popen(
            [sys.executable, "-c", words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert part.stdin is not None
    assert part.stdout is not None
    for line in ("a" * 150, "b"):
        part.stdin.write(line + "\n")
        part.stdin.flush()
        part.stdout.readline()
        supervisor._bound(log)
    part.stdin.close()
    part.wait(10)
    part.stdout.close()
    assert (tmp_path / "floor.log.1").read_text() == "a" * 150 + "\n"
    assert log.read_text() == "b\n"
