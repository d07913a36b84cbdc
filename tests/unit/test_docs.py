"""What the documents say is so: commands, verbs, codes, dependencies, settings; and no file names a place of ours."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from andon.events import GapCause
from ingest.refusal import Reason

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "build.lock", "test.lock")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def project() -> dict[str, object]:
    return tomllib.loads(text("pyproject.toml"))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", text("Makefile"), re.MULTILINE))


@cache
def verbs() -> set[str]:
    said = subprocess.run(
        [sys.executable, "-m", "andon", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"COLUMNS": "200", "PATH": ""},
    ).stdout
    return set(re.findall(r"^ {4}([a-z]+)(?: {2,}\S|$)", said, re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".ci/run"])
def test_every_make_target_that_is_written_about_exists(name: str) -> None:
    assert set(re.findall(r"(?:`|^ *)make ([a-z]+)", text(name), re.MULTILINE)) <= targets()


def test_every_make_target_is_in_the_readme() -> None:
    assert {name for name in targets() if f"make {name}" not in text("README.md")} == {"help"}


def test_the_readme_has_the_verbs_that_the_command_has() -> None:
    rows = set(re.findall(r"^\| `andon ([a-z]+)` \|", text("README.md"), re.MULTILINE))
    assert rows == verbs()


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"])
def test_every_verb_that_is_written_about_exists(name: str) -> None:
    written = re.findall(r"(?:`|bin/)andon ([a-z]+)", text(name))
    assert set(written) <= verbs()


def test_every_dead_letter_code_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|", text("docs/dead-letters.md"), re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in Reason)


def requirements() -> list[Requirement]:
    document = project()
    named = document["project"]["dependencies"]  # type: ignore[index]
    groups = document["dependency-groups"].values()  # type: ignore[attr-defined]
    return [Requirement(line) for line in [*named, *(line for group in groups for line in group)]]


def test_every_direct_dependency_has_its_line_in_the_architecture() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", text("ARCHITECTURE.md"), re.MULTILINE)
    assert sorted(rows) == sorted({canonicalize_name(wanted.name) for wanted in requirements()})


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_no_address(name: str) -> None:
    blocks = re.sub(r" *\\\n *", " ", text(name)).splitlines()
    pin = re.compile(r"[a-z0-9-]+==\S+(?: ; [^:/@]+?)?(?: --hash=sha256:[0-9a-f]{64})+")
    assert blocks
    assert [block[:80] for block in blocks if not pin.fullmatch(block)] == []


def pins(names: tuple[str, ...]) -> dict[str, set[Version]]:
    found: dict[str, set[Version]] = {}
    for name in names:
        for package, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text(name), re.MULTILINE):
            found.setdefault(package, set()).add(Version(version))
    return found


@pytest.mark.parametrize("wanted", requirements(), ids=str)
def test_the_locks_hold_what_the_project_asks_for(wanted: Requirement) -> None:
    locked = pins(LOCKS)[canonicalize_name(wanted.name)]
    assert all(version in wanted.specifier for version in locked)


def test_no_two_locks_pin_one_package_differently() -> None:
    run, build, test = (pins((name,)) for name in LOCKS)
    shared = (run.keys() & test.keys()) | (build.keys() & test.keys()) | (run.keys() & build.keys())
    assert {name: test[name] for name in shared} == {name: (run | build)[name] for name in shared}


def test_the_npm_lock_names_no_address() -> None:
    assert "resolved" not in text("package-lock.json")
    assert "://" not in text("package-lock.json")


@cache
def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        listed = "\0".join(
            str(path.relative_to(ROOT))
            for path in ROOT.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        )
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file is not one that it finds.
PLACES = re.compile(
    "|".join(
        [
            r"(?:pypi|pythonhosted|npmjs|yarnpkg|npmmirror)\." + r"(?:org|com|io)",
            r"index" + r"[-_]url\s*=",
            r"(?<![\w.])/(?:" + r"work|home|root|Users)/" + r"[\w.]",
        ]
    )
)


def test_no_file_names_a_registry_or_a_place_on_somebodys_machine() -> None:
    found = []
    for path in tracked():
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture
        found += [
            f"{path.relative_to(ROOT)}:{number}: {match[0]}"
            for number, line in enumerate(lines, 1)
            if (match := PLACES.search(line))
        ]
    assert found == []


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_every_test_that_the_comparison_names_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", text("docs/comparison.md")))
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    written = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"def (test_[a-z0-9_]+)", written))
    assert len(named) > 30
    assert named - files - tests == set()


def test_every_cause_of_a_gap_has_its_line() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|", text("docs/gaps.md"), re.MULTILINE)
    assert sorted(rows) == sorted(GapCause)
