"""Photos as evidence: only what decodes as one is kept, written anew without the data a camera hides in it.

Decoding is the check (fault 34): a name or a header proves nothing, and a small file can be a huge picture. It is done
by a process of its own that holds nothing and can reach nothing (`photo_process.py`), one for each photo: starting it
costs 0.08 s, and what a hostile file did to one is gone with it. Its answer is not believed either (`is_plain`).
"""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from andon.durable import sync
from ticketing.errors import PhotoRefused

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
SHOWN, SHOWN_PIXELS = 3, 1280
"""So many photos are shown in a message, and their longer side."""
MIME = "image/jpeg"
WALL_S = 60.0
AT_ONCE, WAITING = 2, 6
"""So many photos are decoded at once, and so many wait; who comes then is asked to come again."""
_ANSWER_BYTES = 96 * 1024 * 1024
_PROCESS = Path(__file__).with_name("photo_process.py")
_QUALITY, _SHOWN_QUALITY = 88, 80
_NAME = re.compile(r"[0-9a-f]{64}")
_CODES = {
    "photo_not_an_image": "the bytes do not decode as a JPEG, PNG or WebP photo",
    "photo_too_many_pixels": f"the photo has more than {MAX_PIXELS // 1_000_000} megapixels",
    "photo_animated": "the picture moves: only still photos are kept",
    "photo_too_costly": "decoding the photo takes more memory or time than is given to it",
}
_PARTS = frozenset({0xC0, 0xC4, 0xDA, 0xDB, 0xE0})
"""SOF0, DHT, SOS, DQT and APP0 (JFIF): what a JPEG that we wrote consists of (ITU-T T.81, table B.1)."""
_working, _admitted = threading.Semaphore(AT_ONCE), threading.Semaphore(AT_ONCE + WAITING)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture fit to be kept: the bytes written anew and their name; `blank` if all of it has one colour."""

    sha256: str
    body: bytes
    width: int
    height: int
    blank: bool


def picture_of(body: bytes) -> Picture:
    """The picture in these bytes, turned upright and written anew as JPEG; PhotoRefused if there is none."""
    if not body:
        raise PhotoRefused("photo_empty", "the photo holds no bytes")
    if len(body) > MAX_BYTES:
        raise PhotoRefused("photo_too_large", f"the photo has more than {MAX_BYTES} bytes")
    with _admission():
        return _written_anew(body, quality=_QUALITY, pixels_max=MAX_PIXELS)


def shown(folder: Path, names: Sequence[str]) -> Sequence[bytes]:
    """The newest of these kept photos as JPEGs that fit a message; one that is not there (any more) is left out."""
    found: list[bytes] = []
    for path in (folder / name for name in names[-SHOWN:] if _NAME.fullmatch(name)):
        with contextlib.suppress(FileNotFoundError, PhotoRefused):
            small = _written_anew(
                path.read_bytes(), quality=_SHOWN_QUALITY, pixels_max=MAX_PIXELS, longest=SHOWN_PIXELS
            )
            found.append(small.body)
    return found


def keep(picture: Picture, folder: Path) -> Path:
    """Write the picture under its hash and fsync it; one that is there already is left alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / picture.sha256
    if path.exists():
        return path
    beside = folder / f".{picture.sha256}.{os.getpid()}"
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(picture.body)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(folder)
    return path


def is_plain(body: bytes) -> bool:
    """Whether these bytes are one baseline JPEG with no segment beside JFIF's and nothing behind its end.

    >>> is_plain(b"<html>"), is_plain(b"")
    (False, False)
    """
    if body[:2] != b"\xff\xd8":
        return False
    at, marker = 2, 0
    while marker != 0xDA:  # what follows the header of the scan is coded: an 0xFF in it is stuffed
        if len(body) < at + 4 or body[at] != 0xFF or body[at + 1] not in _PARTS:
            return False
        marker = body[at + 1]
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    return body.find(b"\xff\xd9", at) == len(body) - 2


@contextlib.contextmanager
def _admission() -> Iterator[None]:
    """A place among those that wait or work; PhotoRefused if there is none: threads are there for other answers too."""
    if not _admitted.acquire(blocking=False):
        raise PhotoRefused("photo_busy", "many photos are being taken in: send it again in a moment")
    try:
        with _working:
            yield
    finally:
        _admitted.release()


def _written_anew(body: bytes, **order: int) -> Picture:
    """Have the process decode and write the picture; PhotoRefused with its reason, or if it did not get that far."""
    answer = _asked(body, json.dumps(order))
    line, _, picture = answer.partition(b"\n")
    try:
        facts = json.loads(line)
    except ValueError:
        facts = {
            "refused": "photo_too_costly",
            "why": "it came to no end",
        }  # killed by a limit, or it crashed
    if facts.get("missing"):
        _log.warning(
            "photos are decoded with fewer limits on this system", extra={"missing": facts["missing"]}
        )
    code = facts.get("refused")
    if code in _CODES:
        raise PhotoRefused(code, f"{_CODES[code]} ({facts['why']})")
    if not is_plain(picture):
        raise PhotoRefused("photo_not_an_image", "what came out of the photo is not a plain JPEG")
    return Picture(
        sha256(picture).hexdigest(),
        picture,
        int(facts["width"]),
        int(facts["height"]),
        bool(facts["blank"]),
    )


def _asked(body: bytes, order: str) -> bytes:
    """What the process says, which is killed after `WALL_S` or once it says too much."""
    with tempfile.TemporaryFile() as given:
        given.write(body)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-I", str(_PROCESS), order],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    deadline = threading.Timer(WALL_S, process.kill)
    deadline.daemon = True
    deadline.start()
    with process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            return process.stdout.read(_ANSWER_BYTES)
        finally:
            deadline.cancel()
            process.kill()
