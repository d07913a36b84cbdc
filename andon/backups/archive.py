"""The file of a backup: a tar whose last members say what must be in it, byte for byte.

Files come first, then `manifest.json` with the SHA-256 of each, then `manifest.sha256` with its own. It is read to its
end before anything that was in it is believed.
"""

import contextlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Self

from andon.backups.sealed import MAGIC, OpeningReader, SealingWriter
from andon.events import SECOND_NS, Json

FORMAT = 1
MANIFEST, SUM = "manifest.json", "manifest.sha256"
PIECE_BYTES = 1024 * 1024
Advance = Callable[[int], object]


class Broken(Exception):
    """A backup that is not as it was written; each of `problems` is a sentence that names what."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class Pace:
    """Bytes a second at most, so that who copies leaves the disk to who works; `advance` hears of each piece."""

    bytes_per_s: float
    advance: Advance = lambda _size: None
    _began_s: float = field(default_factory=time.monotonic)
    _size: int = 0

    def took(self, size: int) -> None:
        """So much was copied: wait until it may go on."""
        self._size += size
        self.advance(size)
        time.sleep(max(0.0, self._size / self.bytes_per_s - (time.monotonic() - self._began_s)))


class _Summed(io.RawIOBase):
    """A file that is read at a pace, with the sum of what was read."""

    def __init__(self, file: BinaryIO, pace: Pace) -> None:
        self._file = file
        self._pace = pace
        self.sum = sha256()

    def read(self, size: int = -1) -> bytes:
        some = self._file.read(size)
        self.sum.update(some)
        self._pace.took(len(some))
        return some


class Writing:
    """A backup that is being written to `out`; a `with`, which lets go of it whatever comes."""

    def __init__(self, out: BinaryIO, now_ns: int, pace: Pace) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - `with` ends it
        self._mtime = now_ns // SECOND_NS
        self._pace = pace
        self.files: dict[str, Json] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add(self, name: str, file: BinaryIO, size: int) -> None:
        """Put the first `size` bytes of a file in under that name; OSError if it has fewer."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, 0o600, self._mtime
        summed = _Summed(file, self._pace)
        self._tar.addfile(entry, summed)
        self.files[name] = {"bytes": size, "sha256": summed.sum.hexdigest()}

    def add_path(self, name: str, path: Path) -> None:
        """Put a file in as it is now."""
        with path.open("rb") as file:
            self.add(name, file, os.fstat(file.fileno()).st_size)

    def end(self, facts: Mapping[str, Json]) -> None:
        """End it with the manifest: these facts and the sum of every file."""
        text = json.dumps({**facts, "format": FORMAT, "files": self.files}, indent=1).encode()
        self.add(MANIFEST, io.BytesIO(text), len(text))
        own = sha256(text).hexdigest().encode()
        self.add(SUM, io.BytesIO(own), len(own))


@contextlib.contextmanager
def written(out: BinaryIO, passphrase: str | None) -> Iterator[BinaryIO]:
    """Where to write the archive: the file itself, or through the seal."""
    if passphrase is None:
        yield out
        return
    sealing = SealingWriter(out, passphrase)
    yield sealing  # type: ignore[misc]  # a raw stream is all that tarfile writes to
    sealing.close()


def is_sealed(path: Path) -> bool:
    """Whether a passphrase is needed."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read(
    path: Path, passphrase: str | None, into: Path | None, advance: Advance = lambda _size: None
) -> dict[str, Json]:
    """Read a backup whole, check every byte, and give its manifest; with `into` the files are put there.

    Broken names what is not as it was written; what was put in `into` is then not to be used. NotOpened: see `sealed`.
    """
    found: dict[str, tuple[int, str]] = {}
    kept: dict[str, bytes] = {}
    last = "its beginning"
    with path.open("rb") as raw:
        source: BinaryIO = raw if passphrase is None else io.BufferedReader(OpeningReader(raw, passphrase))
        try:
            with tarfile.open(fileobj=source, mode="r|") as tar:
                for entry in tar:
                    last = entry.name
                    body = tar.extractfile(entry) if entry.isreg() and not entry.issparse() else None
                    if body is None or not is_inside(entry.name):  # or one of holes, larger than what came
                        raise Broken([f"{entry.name!r} is no file of a backup"])
                    if entry.name in {MANIFEST, SUM}:
                        kept[entry.name] = body.read()
                    else:
                        target = None if into is None else into / entry.name
                        found[entry.name] = _taken(body, target, advance)
        except tarfile.TarError as error:
            raise Broken([f"after {last}: it cannot be read on ({error})"]) from error
    return _checked(found, kept, last)


def is_inside(name: str) -> bool:
    """Whether that name stays in the folder that it is put in.

    >>> is_inside("data/photos/ab"), is_inside("../x"), is_inside("/etc/passwd")
    (True, False, False)
    """
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and bool(path.parts)


def _taken(body: IO[bytes], target: Path | None, advance: Advance) -> tuple[int, str]:
    size, summed = 0, sha256()
    with contextlib.ExitStack() as stack:
        out = None
        if target is not None:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            out = stack.enter_context(target.open("xb"))
            target.chmod(0o600)
        while some := body.read(PIECE_BYTES):
            size += len(some)
            summed.update(some)
            if out is not None:
                out.write(some)
            advance(len(some))
    return size, summed.hexdigest()


def _checked(found: Mapping[str, tuple[int, str]], kept: Mapping[str, bytes], last: str) -> dict[str, Json]:
    if MANIFEST not in kept or SUM not in kept:
        raise Broken(
            [f"it ends after {last}: the manifest is missing, so it was never finished or is cut off"]
        )
    if sha256(kept[MANIFEST]).hexdigest().encode() != kept[SUM]:
        raise Broken([f"{MANIFEST} is not as it was written"])
    manifest: dict[str, Json] = json.loads(kept[MANIFEST])
    if manifest["format"] != FORMAT:
        raise Broken([f"it is of format {manifest['format']}: a later Andon wrote it, install that one"])
    wanted = manifest["files"]
    problems = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"{name} does not belong there" for name in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{name} is not as it was written"
        for name in sorted(wanted.keys() & found.keys())
        if found[name] != (wanted[name]["bytes"], wanted[name]["sha256"])
    ]
    if problems:
        raise Broken(problems)
    return manifest
