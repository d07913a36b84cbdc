"""Whether bytes are a video or a recording of speech: by the structure of the file, which is never decoded here.

A header proves nothing, so that a file's parts are followed to its end. What is inside them only a player will ever
read, in the browser of whoever opens the file, where it is handed out as a download. Sources: ISO/IEC 14496-12 4.2 (boxes),
RFC 8794 (EBML), RFC 9559 (Matroska), RFC 4867 5.1 (AMR).
"""

from typing import BinaryIO

_BRANDS = {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"3gp": "video/3gpp"}
_BOXES_MAX = 4096
_EBML, _DOC_TYPE, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x42\x82", b"\x18\x53\x80\x67"
_MATROSKA = {b"webm": "video/webm", b"matroska": "video/x-matroska"}
_AMR = {b"#!AMR\n": "audio/amr", b"#!AMR-WB\n": "audio/amr-wb"}
SUFFIXES = {
    "image/jpeg": "jpg",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/3gpp": "3gp",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "audio/mp4": "m4a",
    "audio/amr": "amr",
    "audio/amr-wb": "awb",
}
"""Media type of what is kept -> the ending of its file's name."""


def media_type(file: BinaryIO) -> str | None:
    r"""The media type of a video or a recording; None if the bytes are none, or are cut off.

    >>> from io import BytesIO
    >>> media_type(BytesIO(b"\0\0\0\x0cftypmp42" + b"\0\0\0\x08moov" + b"\0\0\0\x08mdat"))
    'video/mp4'
    >>> media_type(BytesIO(b"\0\0\0\x0cftypmp42" + b"\0\0\0\x08moov" + b"\0\0\1\0mdat")) is None  # cut off
    True
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(4096)
    if head[4:8] == b"ftyp":
        return _boxes(file, head, size)
    if head.startswith(_EBML):
        return _matroska(head)
    return next((kind for magic, kind in _AMR.items() if head.startswith(magic) and size > len(magic)), None)


def _boxes(file: BinaryIO, head: bytes, size: int) -> str | None:
    """MP4 and its kin: boxes one behind the other to the very end, among them the index (`moov`) and what it is of."""
    at = 0
    found: set[bytes] = set()
    for _ in range(_BOXES_MAX):
        if at == size:
            whole = b"moov" in found and not found.isdisjoint({b"mdat", b"moof"})
            return _brand(head[8:12]) if whole else None
        file.seek(at)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        elif length == 0:  # up to the end
            length = size - at
        if len(box) < 8 or length < 8 or at + length > size:
            return None
        found.add(box[4:8])
        at += length
    return None


def _brand(major: bytes) -> str:
    return next((kind for brand, kind in _BRANDS.items() if major.startswith(brand)), "video/mp4")


def _matroska(head: bytes) -> str | None:
    """WebM and Matroska: an EBML header that names one of the two, then a segment."""
    at = head.find(_DOC_TYPE)
    if at < 0 or _SEGMENT not in head[at:] or len(head) < at + 3:
        return None
    length = head[at + 2] & 0x7F
    return _MATROSKA.get(head[at + 3 : at + 3 + length].rstrip(b"\0"))
