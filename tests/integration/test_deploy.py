"""The files of deploy/ are what their own readers take: systemd's verdict on the units."""

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_the_unit_valid_and_hardened(tmp_path: Path) -> None:
    unit = (DEPLOY / "andon.service").read_text("utf-8")
    here = tmp_path / "andon.service"
    here.write_text(unit.replace("/opt/andon/bin/andon", shutil.which("true") or "/bin/true"), "utf-8")
    verdict = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)
    assert (verdict.returncode, verdict.stderr) == (0, "")
    exposure = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", here],
        capture_output=True,
        text=True,
        check=False,
    )
    assert exposure.returncode == 0, exposure.stdout[-200:]
