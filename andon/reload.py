"""andon.toml while Andon runs: what changed is applied, what cannot be used is refused whole and said."""

import contextlib
import importlib
from pathlib import Path

from andon.config import Config, ConfigError, load_config
from andon.installation import Installation
from andon.sources import check_sources

Stamp = tuple[int, int, int] | None


class Reload:
    """Follows the file at `path`; `config` is what is in force. Looks at the file's time, size and number.

    A file is read once it has stood still from one look to the next: an editor may be in the middle of writing it.
    """

    def __init__(self, path: Path, config: Config, installation: Installation) -> None:
        self._path = path
        self._config = config
        self._installation = installation
        self._read = self._seen = self._stamp()

    def look(self) -> list[str]:
        """Apply what has changed since the last look; gives what there is to say of it."""
        before, self._seen = self._seen, self._stamp()
        if self._seen in {None, self._read} or self._seen != before:
            return []
        self._read = self._seen
        try:
            wanted = load_config(self._path)
            check_sources(wanted.sources, self._path)
            if wanted.notify != self._config.notify:
                importlib.import_module("andon.channels").check_channels(wanted.notify)
        except ConfigError as error:
            self._installation.refused = str(error)
            return [f"refused, the old configuration stays in force: {error}"]
        self._installation.refused = ""
        return self._apply(wanted)

    def _apply(self, wanted: Config) -> list[str]:
        said = [f"{name}: changed" for name in self._installation.change_sources(wanted.sources)]
        if self._installation.change_notify(wanted.notify):
            said.append("notify: changed")
        later = [
            name
            for name in type(wanted).model_fields
            if name not in {"sources", "notify"} and getattr(wanted, name) != getattr(self._config, name)
        ]
        if later:
            said.append(f"{', '.join(later)}: taken over at the next start")
        return said or [f"{self._path}: nothing has changed"]

    def _stamp(self) -> Stamp:
        with contextlib.suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_size, found.st_ino
        return None
