"""Files that a requester could send: a whole film of a second's structure, and what only looks like one."""


def box(kind: bytes, body: bytes = b"") -> bytes:
    """One box of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def film(brand: bytes = b"mp42", *, of: int = 2000, mark: int = 0) -> bytes:
    """An MP4 file: its brand, its index, and so many bytes of something to play; `mark` makes it another."""
    return box(b"ftyp", brand + bytes(4)) + box(b"moov", bytes(64)) + box(b"mdat", bytes([mark % 256]) * of)


def webm(kind: bytes = b"webm") -> bytes:
    """The beginning of a WebM or Matroska file (RFC 8794): its header, then a segment."""
    return (
        b"\x1a\x45\xdf\xa3\x8b\x42\x82" + bytes([0x80 | len(kind)]) + kind + b"\x18\x53\x80\x67" + bytes(40)
    )
