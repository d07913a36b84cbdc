"""A process that takes too much memory ends itself, at once and with a code of its own."""

import subprocess
import sys

import pytest

from andon.memory import ENDED

START = "import time; from andon.memory import cap_growth; cap_growth(32 * 1024**2)\n"


def ends_with(work: str) -> int:
    """The exit code of a process that is capped at 32 MB beyond its start and does this."""
    return subprocess.run(
        [sys.executable, "-c", START + work], capture_output=True, timeout=60, check=False
    ).returncode


def test_a_process_that_grows_step_by_step_is_ended() -> None:
    assert ends_with("held = []\nwhile True: held.append(bytes(100_000)); time.sleep(0.001)") == ENDED


def test_a_library_that_swallows_every_error_cannot_keep_it_alive() -> None:
    swallow = "held = []\nwhile True:\n  try: held.append(bytearray(b'x' * 1_000_000))\n  except BaseException: pass"
    assert ends_with(swallow) == ENDED


def test_one_allocation_of_gigabytes_is_refused_by_the_kernel() -> None:
    assert ends_with("try: bytearray(b'x') * 4_000_000_000\nexcept MemoryError: raise SystemExit(5)") == 5


@pytest.mark.parametrize("work", ["held = bytes(1_000_000); time.sleep(0.3)", "held = None"])
def test_a_process_within_its_cap_is_left_alone(work: str) -> None:
    assert ends_with(work) == 0


def test_what_it_held_before_does_not_count() -> None:
    before = "import time; from andon.memory import cap_growth; held = b'x' * 64_000_000; cap_growth(32 * 1024**2)\n"
    done = subprocess.run([sys.executable, "-c", before + "time.sleep(0.5)"], timeout=60, check=False)
    assert done.returncode == 0
