"""Photos as evidence: only what decodes as one is kept, written anew without the data a camera hides in it.

Decoding is the check (fault 34): a name or a header proves nothing, and a small file can be a huge picture.
Writing the picture anew drops EXIF with its position, and whatever else was packed into the file.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ticketing.errors import PhotoRefused

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
SHOWN, SHOWN_PIXELS = 3, 1280
"""So many photos are shown in a message, and their longer side."""
MIME = "image/jpeg"
_FORMATS = ("JPEG", "PNG", "WEBP")
_QUALITY = 88
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture fit to be kept: the bytes written anew and their name."""

    sha256: str
    body: bytes
    width: int
    height: int


def picture_of(body: bytes) -> Picture:
    """The picture in these bytes, turned upright and written anew as JPEG; PhotoRefused if there is none."""
    if not body:
        raise PhotoRefused("photo_empty", "the photo holds no bytes")
    if len(body) > MAX_BYTES:
        raise PhotoRefused(
            "photo_too_large", f"the photo has {len(body)} bytes; at most {MAX_BYTES} are taken"
        )
    try:
        with Image.open(BytesIO(body), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels()
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise PhotoRefused("photo_not_an_image", f"the bytes do not decode as a photo: {error}") from error
    written = BytesIO()
    upright.save(written, "JPEG", quality=_QUALITY)
    kept = written.getvalue()
    return Picture(sha256(kept).hexdigest(), kept, upright.width, upright.height)


def shown(folder: Path, names: Sequence[str]) -> Sequence[bytes]:
    """The newest of these kept photos as JPEGs that fit a message; one that is not there (any more) is left out."""
    found: list[bytes] = []
    for path in (folder / name for name in names[-SHOWN:] if _NAME.fullmatch(name)):
        if path.is_file():
            with Image.open(path, formats=_FORMATS) as image:
                image.thumbnail((SHOWN_PIXELS, SHOWN_PIXELS))
                written = BytesIO()
                image.save(written, "JPEG", quality=80)
                found.append(written.getvalue())
    return found


def _too_many_pixels() -> PhotoRefused:
    return PhotoRefused(
        "photo_too_many_pixels", f"the photo has more than {MAX_PIXELS // 1_000_000} megapixels"
    )


def keep(picture: Picture, folder: Path) -> Path:
    """Write the picture under its hash and fsync it; one that is there already is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / picture.sha256
    if path.exists():
        return path
    beside = folder / f".{picture.sha256}.{os.getpid()}"
    with beside.open("wb") as file:
        file.write(picture.body)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path
