"""Every test, in three lanes side by side, of much the same length: rules and browsers, stories, whole installations.

What waits for processes leaves a core idle that the other lanes use. Each line says which lane it is of; the run fails
if one of them does. With any argument it is one plain run of pytest.
"""

import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

SETTINGS = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
WHOLE = sorted(map(str, Path("tests/integration").glob("test_*.py")))
SOME = len(WHOLE) * 4 // 5
"""So many of the whole installations take as long as all the others with the stories."""
LANES = {
    "rules": [one for one in SETTINGS["testpaths"] if one not in {"tests/scenario", "tests/integration"}],
    "stories": ["tests/scenario", *WHOLE[SOME:]],
    "installed": WHOLE[:SOME],
}
PYTEST = [sys.executable, "-m", "pytest"]


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; gives the exit status."""
    if arguments:
        return subprocess.run([*PYTEST, *arguments], check=False).returncode
    began_s = time.monotonic()
    runs = {
        name: subprocess.Popen(
            [*PYTEST, *chosen], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, chosen in LANES.items()
    }
    readers = [threading.Thread(target=_tell, args=(name, run)) for name, run in runs.items()]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    failed = [name for name, run in runs.items() if run.wait() != 0]
    print(
        f"{time.monotonic() - began_s:.0f} s; " + (f"failed: {', '.join(failed)}" if failed else "all passed")
    )
    return 1 if failed else 0


def _tell(name: str, run: "subprocess.Popen[str]") -> None:
    assert run.stdout is not None
    for line in run.stdout:
        sys.stdout.write(f"{name:>9} | {line}")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
