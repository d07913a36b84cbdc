"""The wheel is the whole of Andon: everything the pages need is inside, and nothing that only a developer needs."""

import subprocess
import sys
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("andon", "ingest", "detectors", "ticketing", "api", "simulators")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("andon-*-py3-none-any.whl")
    return ZipFile(path)


def test_every_file_of_the_six_packages_is_inside_and_nothing_else(wheel: ZipFile) -> None:
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == there


def test_the_browser_libraries_and_their_licences_are_inside(wheel: ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist() if name.startswith("api/web/vendor/")}
    assert names >= {"echarts.js", "echarts.LICENSE", "echarts.NOTICE", "htmx.js", "htmx.LICENSE"}


def test_licence_and_notice_go_with_it(wheel: ZipFile) -> None:
    names = {name.rpartition("/")[2] for name in wheel.namelist() if "/licenses/" in name}
    assert names == {"LICENSE", "NOTICE"}


def test_it_asks_for_what_runs_and_for_no_tool(wheel: ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = message_from_string(wheel.read(name).decode("utf-8"))
    wanted = "\n".join(metadata.get_all("Requires-Dist", []))
    assert "asyncua" in wanted
    assert not any(tool in wanted for tool in ("pytest", "hatchling", "ruff", "nodejs"))
