"""Photos as evidence: only what decodes as one is kept, written anew without the data a camera hides in it.

Decoding is the check (fault 34): a name or a header proves nothing, and a small file can be a huge picture.
Writing the picture anew drops EXIF with its position, and whatever else was packed into the file.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ticketing.errors import PhotoRefused

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
MIME = "image/jpeg"
_FORMATS = ("JPEG", "PNG", "WEBP")
_QUALITY = 88


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
