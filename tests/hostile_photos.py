"""Files that somebody could send in place of a photo, made here and kept nowhere. `CANARY` marks what must not survive."""

import functools
import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageCms, PngImagePlugin

from ticketing.photos import MAX_BYTES

CANARY = b"canary-7f3a91"
SCRIPT = b"<script>alert('" + CANARY + b"')</script>"
HTML = b"<!doctype html><html><body>" + SCRIPT + b"</body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>"
NOT, PIXELS, MOVES, COSTLY = (
    "photo_not_an_image",
    "photo_too_many_pixels",
    "photo_animated",
    "photo_too_costly",
)
CLEAN = ""
"""It is kept, written anew, and nothing of the canary is left in it."""
Hostile = tuple[str, bytes, set[str]]


def image(kind: str, size: tuple[int, int] = (32, 24), **options: object) -> bytes:
    written = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(written, kind, **options)
    return written.getvalue()


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    written = BytesIO()
    frames[0].save(written, kind, save_all=True, append_images=frames[1:])
    return written.getvalue()


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return struct.pack(">I", size) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG that says it is of that size, with these chunks between its header and its end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


@functools.cache
def zeros(megabytes: int) -> bytes:
    """So many of them in a thousandth of the space."""
    packer = zlib.compressobj(9)
    packed = [packer.compress(bytes(1024 * 1024)) for _ in range(megabytes)]
    return b"".join([*packed, packer.flush()])


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def jpeg(*segments: bytes) -> bytes:
    """A sound JPEG with more segments after its first two bytes."""
    return b"\xff\xd8" + b"".join(segments) + image("JPEG")[2:]


def sized(width: int, height: int) -> bytes:
    """A JPEG whose frame says another size than it has."""
    body = image("JPEG")
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


def huffman(counts: bytes) -> bytes:
    """A JPEG whose first Huffman table has so many codes of each length."""
    body = image("JPEG")
    at = body.index(b"\xff\xc4") + 5
    return body[:at] + counts.ljust(16, b"\0") + body[at + 16 :]


def exif(ifd: bytes) -> bytes:
    return jpeg(segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08" + ifd))


def camera() -> bytes:
    """What a camera and an editor put into a JPEG: place, maker, thumbnail, XMP, IPTC, a profile with a comment."""
    tags = Image.Exif()
    tags[0x010F] = CANARY.decode()
    tags.get_ifd(0x8825)[1], tags.get_ifd(0x8825)[29] = "N", CANARY.decode()
    tags.get_ifd(0x8769)[0x9286] = CANARY
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + CANARY
    body = image("JPEG", exif=tags, comment=SCRIPT, icc_profile=profile, xmp=b"<x:xmpmeta>" + CANARY)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(CANARY)) + CANARY + b"\0"
    return body[:2] + segment(0xED, iptc) + body[2:]


def archive() -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        packed.writestr("META-INF/MANIFEST.MF", CANARY)
    return written.getvalue()


def scans(many: int) -> bytes:
    """A progressive JPEG that draws its picture again and again."""
    body = image("JPEG", (2048, 2048), progressive=True)
    last = body.rindex(b"\xff\xda")
    return body[:last] + body[last:-2] * many + body[-2:]


def described() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", SCRIPT.decode())
    info.add_itxt("XML:com.adobe.xmp", CANARY.decode(), zip=True)
    return image("PNG", pnginfo=info)


def no_photos() -> Iterator[Hostile]:
    """Other kinds of files, and names that are not theirs."""
    yield "nothing", b"", {"photo_empty"}
    yield "one byte", b"\xff", {NOT}
    yield "zeros", bytes(4096), {NOT}
    yield "html", HTML, {NOT}
    yield "svg with a script", SVG, {NOT}
    yield "svgz", gzip.compress(SVG), {NOT}
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PDF", "DDS", "JPEG2000", "EPS"):
        yield kind, image(kind), {NOT}
    yield "gif that moves", moving("GIF"), {NOT}
    yield "gif with an archive", image("GIF") + archive(), {NOT}
    yield "psd", b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 24, 32, 8, 3) + bytes(64), {NOT}
    yield "heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), {NOT}
    yield "avif", b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(64), {NOT}
    yield "video", b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(64), {NOT}
    yield "archive", archive(), {NOT}
    yield "program", b"\x7fELF\x02\x01\x01" + bytes(128), {NOT}
    yield "postscript that asks for a shell", b"%!PS\n(%pipe%touch /tmp/" + CANARY + b") (w) file\n", {NOT}
    yield "png's first bytes before a jpeg", b"\x89PNG\r\n\x1a\n" + image("JPEG"), {NOT}
    yield "jpeg's first bytes before a png", b"\xff\xd8\xff\xe0" + image("PNG"), {NOT}
    yield "webp's first bytes before html", b"RIFF\x40\0\0\0WEBPVP8 " + HTML, {NOT}


def broken() -> Iterator[Hostile]:
    """Photos that were cut, bent, or say what is not so."""
    for kind in ("JPEG", "PNG", "WEBP"):
        body = image(kind, (200, 200))
        yield f"{kind} cut in half", body[: len(body) // 2], {NOT}
        yield f"{kind} cut to its head", body[:30], {NOT}
    yield "jpeg of size 0", sized(0, 0), {NOT}
    yield "png of size 0", png(0, 0, chunk(b"IDAT", zlib.compress(b""))), {NOT}
    yield "png without data", png(8, 8), {NOT}
    yield "png with junk for data", png(8, 8, chunk(b"IDAT", b"\xff" * 64)), {NOT}
    yield "png with a length beyond all", png(8, 8, chunk(b"IDAT", b"x", 0xFFFFFFFF)), {NOT}
    yield "png with a negative length", png(8, 8, chunk(b"tEXt", b"x", 0x80000000)), {NOT}
    yield "png that is interlaced and short", png(4000, 4000, chunk(b"IDAT", zlib.compress(b"\0"))), {NOT}
    yield "png with a false sum", png(8, 8).replace(b"IHDR", b"IHDr"), {NOT}
    yield "jpeg with a segment of length 0", jpeg(segment(0xE2, CANARY, 0)), {NOT, CLEAN}
    yield "jpeg without its tables", image("JPEG").replace(b"\xff\xc4", b"\xff\xee"), {NOT, CLEAN}
    yield "jpeg with more codes than there can be", huffman(b"\xff" * 16), {NOT}
    yield "jpeg with a table of no codes", huffman(b""), {NOT, CLEAN}
    yield (
        "webp that says it is larger",
        image("WEBP").replace(b"VP8 ", b"VP8X", 1) + bytes(64),
        {NOT, PIXELS},
    )
    loop = struct.pack(">H", 1) + struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    yield "exif that is inside itself", exif(loop), {NOT, CLEAN}
    many = struct.pack(">H", 0xFFFF) + struct.pack(">HHII", 0x0112, 3, 0xFFFFFFFF, 0xFFFFFFF0)
    yield "exif with 4 billion values", exif(many), {NOT, CLEAN}
    yield (
        "exif with a turn that there is not",
        exif(struct.pack(">HHHII", 1, 0x0112, 3, 1, 99 << 16)),
        {CLEAN},
    )


def bombs() -> Iterator[Hostile]:
    """Small files that become large, or take long."""
    rows = zlib.compress(bytes((16_000 // 8 + 1) * 16_000), 9)
    yield "256 megapixels in 31 kB", png(16_000, 16_000, chunk(b"IDAT", rows), depth=1, colour=0), {PIXELS}
    yield "jpeg of 65,535 x 65,535", sized(65_535, 65_535), {PIXELS}
    yield "png of 65,535 x 65,535", png(65_535, 65_535, chunk(b"IDAT", zlib.compress(bytes(64)))), {PIXELS}
    yield "png of 2^31 x 2^31", png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zlib.compress(bytes(64)))), {PIXELS}
    yield "a pixel more than 40 million", png(8000, 5001, chunk(b"IDAT", zlib.compress(bytes(64)))), {PIXELS}
    text = chunk(b"zTXt", b"k\0\0" + zeros(256))
    yield "256 MB of text in a comment", png(8, 8, text, chunk(b"IDAT", zlib.compress(bytes(200)))), {NOT}
    text = chunk(b"iTXt", b"k\0\1\0\0\0" + zeros(256))
    yield (
        "256 MB of text in many tongues",
        png(8, 8, text, chunk(b"IDAT", zlib.compress(bytes(200)))),
        {NOT, CLEAN},
    )
    profile = chunk(b"iCCP", b"k\0\0" + zeros(256))
    yield "256 MB of profile", png(8, 8, profile, chunk(b"IDAT", zlib.compress(bytes(200)))), {NOT, CLEAN}
    texts = b"".join(chunk(b"zTXt", b"k%d\0\0" % n + zeros(1)) for n in range(100))
    yield "100 comments of 1 MB", png(8, 8, texts, chunk(b"IDAT", zlib.compress(bytes(200)))), {NOT}
    yield "a picture drawn 300 times", scans(300), {CLEAN, NOT, COSTLY}
    yield "webp that moves", moving("WEBP"), {MOVES}
    yield "png that moves", moving("PNG"), {MOVES}
    yield "more than 10 MB", image("JPEG") + bytes(MAX_BYTES), {"photo_too_large"}


def two_in_one() -> Iterator[Hostile]:
    """Sound photos that are something else too: kept, and only the photo."""
    sound = image("JPEG")
    yield "jpeg and html behind it", sound + HTML, {CLEAN}
    yield "jpeg and html in a comment", jpeg(segment(0xFE, HTML)), {CLEAN}
    yield "jpeg and html in its profile", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + HTML)), {CLEAN}
    yield "jpeg and svg behind it", sound + SVG, {CLEAN}
    yield "jpeg and an archive behind it", sound + archive(), {CLEAN}
    yield "jpeg and pdf in a comment", jpeg(segment(0xFE, b"%PDF-1.7\n" + CANARY)), {CLEAN}
    yield "jpeg and a script behind it", sound + b"\n<?php system('" + CANARY + b"'); ?>", {CLEAN}
    yield "png and a script behind it", image("PNG") + SCRIPT, {CLEAN}
    yield "webp and a script behind it", image("WEBP") + SCRIPT, {CLEAN}
    yield "png with comments", described(), {CLEAN}
    yield "jpeg with a second picture in it", moving("MPO") + CANARY, {CLEAN}
    yield "jpeg with all that a camera puts in", camera(), {CLEAN}


def corpus() -> list[Hostile]:
    """All of them."""
    return [*no_photos(), *broken(), *bombs(), *two_in_one()]
