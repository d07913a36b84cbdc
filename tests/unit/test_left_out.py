"""A run says what it left out, and fails if that is more than allowed_skips.txt lets it."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
RULES = "2 | local | no broker*\n1 | anywhere | no recording*\n"
SUITE = """
    import pytest

    def test_one():
        assert True
"""


@pytest.fixture(autouse=True)
def inner_suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    here = Path(__file__).parents[1] / "conftest.py"
    pytester.makeconftest(here.read_text("utf-8"))
    (pytester.path / "allowed_skips.txt").write_text(RULES, "utf-8")


def run(pytester: pytest.Pytester, *reasons: str) -> pytest.RunResult:
    skips = [
        f"def test_skipped_{number}():\n        pytest.skip({reason!r})\n"
        for number, reason in enumerate(reasons)
    ]
    pytester.makepyfile("\n    ".join([SUITE, *skips]))
    return pytester.runpytest("-p", "no:cacheprovider")


def test_a_whole_run_says_that_nothing_was_left_out(pytester: pytest.Pytester) -> None:
    result = run(pytester)
    result.stdout.fnmatch_lines(["*nothing was left out*", "*1 passed*"])
    assert result.ret == pytest.ExitCode.OK


def test_an_allowed_skip_is_counted_and_passes(pytester: pytest.Pytester) -> None:
    result = run(pytester, "no broker here", "no broker here")
    result.stdout.fnmatch_lines(["*left out*", "2 x no broker here", "*1 passed, 2 skipped*"])
    assert result.ret == pytest.ExitCode.OK


def test_one_skip_more_than_allowed_fails_the_run(pytester: pytest.Pytester) -> None:
    result = run(pytester, *["no broker here"] * 3)
    result.stdout.fnmatch_lines(["FAILED 3 x no broker*: at most 2 are allowed"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_reason_that_no_line_allows_fails_the_run(pytester: pytest.Pytester) -> None:
    result = run(pytester, "did not feel like it")
    result.stdout.fnmatch_lines(["FAILED 1 x did not feel like it: no line of allowed_skips.txt allows it"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_what_ci_installs_may_not_be_left_out_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(pytester, "no broker here", "no recording of a bearing")
    result.stdout.fnmatch_lines(["FAILED 1 x no broker here: not where CI is set, .ci/run installs it"])
    result.stdout.no_fnmatch_line("FAILED*recording*")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_counts_as_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.xfail(reason='later')\ndef test_later():\n    assert False\n"
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["FAILED 1 x expected to fail: no line*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
