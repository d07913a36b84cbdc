"""Only what decodes as a photo is kept, and nothing but the picture."""

import struct
import zlib
from hashlib import sha256
from io import BytesIO

import pytest
from PIL import Image

from ticketing.errors import PhotoRefused
from ticketing.photos import MAX_BYTES, SHOWN, keep, picture_of, shown


def photo(kind: str = "JPEG", size: tuple[int, int] = (8, 4), **options) -> bytes:
    written = BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(written, kind, **options)
    return written.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = zlib.compress(b"\0" * 16)
    parts = (chunk, b"IDAT" + body, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def refused(body: bytes) -> str:
    with pytest.raises(PhotoRefused) as error:
        picture_of(body)
    return error.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_written_anew_as_jpeg_and_named_by_its_hash(kind):
    picture = picture_of(photo(kind))
    assert picture.sha256 == sha256(picture.body).hexdigest()
    assert (picture.width, picture.height) == (8, 4)
    with Image.open(BytesIO(picture.body)) as image:
        assert image.format == "JPEG"


def test_position_and_camera_data_are_dropped_and_the_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    picture = picture_of(photo(exif=exif))
    assert (picture.width, picture.height) == (4, 8)
    with Image.open(BytesIO(picture.body)) as image:
        assert not image.getexif()
    assert b"a camera" not in picture.body


def test_what_is_hidden_behind_the_picture_is_dropped():
    assert b"<script>" not in picture_of(photo() + b"<script>alert(1)</script>").body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "photo_empty"),
        (b"not a photo", "photo_not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo_not_an_image"),
        (photo()[:40], "photo_not_an_image"),
        (photo("GIF"), "photo_not_an_image"),
        (b"\xff" * (MAX_BYTES + 1), "photo_too_large"),
        (png_that_claims(8000, 5001), "photo_too_many_pixels"),
        (png_that_claims(60_000, 60_000), "photo_too_many_pixels"),
        (png_that_claims(11_000, 9_000), "photo_too_many_pixels"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(body, code):
    assert refused(body) == code


def test_the_same_photo_is_kept_once(tmp_path):
    picture = picture_of(photo())
    path = keep(picture, tmp_path / "photos")
    assert path.read_bytes() == picture.body
    assert keep(picture, tmp_path / "photos") == path
    assert [p.name for p in path.parent.iterdir()] == [picture.sha256]


def test_a_message_shows_the_newest_photos_small_and_only_those_that_are_kept(tmp_path):
    kept = [picture_of(photo(size=(3000, 1000 + n))) for n in range(SHOWN + 1)]
    for picture in kept:
        keep(picture, tmp_path)
    (tmp_path.parent / "secret").write_bytes(photo())
    names = [picture.sha256 for picture in kept]
    small = shown(tmp_path, names)
    sizes = []
    for body in small:
        with Image.open(BytesIO(body)) as image:
            sizes.append(image.size)
    assert sizes == [(1280, round(1280 * (1000 + n) / 3000)) for n in range(1, SHOWN + 1)]
    assert shown(tmp_path, ["0" * 64, "../secret"]) == []
