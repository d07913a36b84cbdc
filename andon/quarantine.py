"""Sources that died too often: each is a file, until a person takes it away (`andon resume NAME`).

A source that dies again and again is fed something that it cannot bear. Started for ever, it would drop and take
up its connection all day and look alive; so it stays down, over a restart of everything too, until somebody looked.
"""

import json
from pathlib import Path

CRASHES, WITHIN_S = 3, 300.0
FOLDER = "quarantine"


class Quarantine:
    """The quarantined sources of a data directory, one file each with what was last heard of it."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def names(self) -> list[str]:
        """Who is in quarantine."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def why(self, name: str) -> str | None:
        """Why that source is in quarantine, None if it is not."""
        try:
            return str(json.loads(self._path(name).read_text())["why"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError):
            return "its file cannot be read"

    def put(self, name: str, why: str) -> None:
        """Keep that source down from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(name).with_suffix(".partial")
        partial.write_text(json.dumps({"why": why}))
        partial.rename(self._path(name))

    def lift(self, name: str) -> bool:
        """Let that source start again; whether it was in quarantine."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def is_too_often(crashes_s: list[float], now_s: float) -> bool:
    """Whether these times of crashes are too many of late.

    >>> is_too_often([0, 200, 301], 301), is_too_often([0, 200, 299], 299)
    (False, True)
    """
    return sum(now_s - at_s < WITHIN_S for at_s in crashes_s) >= CRASHES
