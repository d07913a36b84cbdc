"""What a run leaves out is counted: each skip must match a line of allowed_skips.txt, or the run fails."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.stores import postgresql, stores, stores_to_read

__all__ = ["postgresql", "stores", "stores_to_read"]

collect_ignore_glob = [
    "*conftest.py"
]  # read for their fixtures, not searched for doctests: their names clash
os.environ.pop("PYTHONUNBUFFERED", None)  # what is said must be heard on a user's machine too
ALLOWED = Path(__file__).with_name("allowed_skips.txt")


@dataclass(frozen=True, slots=True)
class Allowance:
    """How often a reason may leave a test out; `local` ones not at all where CI is set."""

    at_most: int
    where: str
    pattern: str


def allowances(text: str) -> list[Allowance]:
    """The lines `at most | where | pattern` of the file; ValueError names a line that is none."""
    rows = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|", 2)]
        if len(fields) != 3 or not fields[0].isdecimal() or fields[1] not in {"local", "anywhere"}:
            raise ValueError(f"{ALLOWED.name}: not `at most | local or anywhere | pattern`: {line}")
        rows.append(Allowance(int(fields[0]), fields[1], fields[2]))
    return rows


def verdicts(
    reasons: Sequence[str], allowed: Sequence[Allowance], *, ci: bool
) -> tuple[list[str], list[str]]:
    """What was left out, a line per reason, and what of it is not allowed."""
    left_out, wrong = [], []
    used: Counter[Allowance] = Counter()
    for reason, times in sorted(Counter(reasons).items()):
        rule = next((rule for rule in allowed if fnmatchcase(reason, rule.pattern)), None)
        left_out.append(f"{times} x {reason}")
        if rule is None:
            wrong.append(f"{times} x {reason}: no line of {ALLOWED.name} allows it")
        elif ci and rule.where == "local":
            wrong.append(f"{times} x {reason}: not where CI is set, .ci/run installs it")
        else:
            used[rule] += times
    wrong += [
        f"{times} x {rule.pattern}: at most {rule.at_most} are allowed"
        for rule, times in used.items()
        if times > rule.at_most
    ]
    return left_out, wrong


_reasons: dict[str, str] = {}  # by the test or module that was left out


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    expected = hasattr(report, "wasxfail")
    _reasons[report.nodeid] = "expected to fail" if expected else text.removeprefix("Skipped: ")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test that was left out."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that was left out."""
    _note(report)


def _judged() -> tuple[list[str], list[str]]:
    return verdicts(
        list(_reasons.values()), allowances(ALLOWED.read_text("utf-8")), ci=bool(os.environ.get("CI"))
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run that leaves out what it must not is a failed run."""
    if exitstatus == pytest.ExitCode.OK and _judged()[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Say what was left out of a run that came to its end."""
    if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return
    left_out, wrong = _judged()
    terminalreporter.section("left out" if left_out else "nothing was left out")
    for line in left_out:
        terminalreporter.line(line)
    for line in wrong:
        terminalreporter.line(f"FAILED {line}", red=True)
