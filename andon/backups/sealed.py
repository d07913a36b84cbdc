"""A backup that only a passphrase opens: AES-256-GCM piece by piece, so that a flipped, cut or moved byte is refused.

The key comes from the passphrase by scrypt (RFC 7914). Each piece has a nonce of its own, made of a random prefix, its
number and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): pieces can be
neither exchanged nor left off at the end.
"""

import io
import os
import struct
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"ANDONSEALED1"
PIECE_BYTES = 1024 * 1024
COST = 2**17
"""scrypt's N with r = 8, p = 1: 128 MiB and about 0.4 s for each guess."""
_HEAD = struct.Struct(">12s16s7sI")
_TAG_BYTES = 16


class NotOpened(Exception):
    """The backup cannot be read with that passphrase, or is not as it was written; the text says which."""


def _cipher(passphrase: str, salt: bytes, cost: int) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode()))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


class SealingWriter(io.RawIOBase):
    """Encrypts what is written to it into `out`; `close` writes the last piece."""

    def __init__(self, out: BinaryIO, passphrase: str, cost: int = COST) -> None:
        salt, self._prefix = os.urandom(16), os.urandom(7)
        self._head = _HEAD.pack(MAGIC, salt, self._prefix, cost)
        self._out = out
        self._cipher = _cipher(passphrase, salt, cost)
        self._waiting = bytearray()
        self._number = 0
        out.write(self._head)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, some: object) -> int:
        """Take these bytes; they are written once a piece is full."""
        view = memoryview(some)  # type: ignore[arg-type]
        self._waiting += view
        while len(self._waiting) > PIECE_BYTES:
            self._piece(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]
        return view.nbytes

    def close(self) -> None:
        """Write what is left; without it the whole is refused."""
        if not self.closed:
            self._piece(bytes(self._waiting), last=True)
        super().close()

    def _piece(self, plain: bytes, *, last: bool) -> None:
        nonce = _nonce(self._prefix, self._number, last=last)
        self._out.write(self._cipher.encrypt(nonce, plain, self._head))
        self._number += 1


class OpeningReader(io.RawIOBase):
    """Gives what was sealed; NotOpened as soon as a piece is not as it was written."""

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        self._head = source.read(_HEAD.size)
        try:
            magic, salt, self._prefix, cost = _HEAD.unpack(self._head)
        except struct.error:
            raise NotOpened("it ends within its head") from None
        if magic != MAGIC or not 2**10 <= cost <= 2**20 or cost & (cost - 1):
            raise NotOpened("its head is not as it was written")
        self._source = source
        self._cipher = _cipher(passphrase, salt, cost)
        self._number = 0
        self._plain = memoryview(b"")
        self._next = source.read(PIECE_BYTES + _TAG_BYTES)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as the piece goes; 0 at the end."""
        if not self._plain:
            self._open_next()
        view = memoryview(buffer)  # type: ignore[arg-type]
        size = min(view.nbytes, len(self._plain))
        view[:size], self._plain = self._plain[:size], self._plain[size:]
        return size

    def _open_next(self) -> None:
        sealed = self._next
        if not sealed and self._number:
            return
        self._next = self._source.read(PIECE_BYTES + _TAG_BYTES)
        nonce = _nonce(self._prefix, self._number, last=not self._next)
        try:
            self._plain = memoryview(self._cipher.decrypt(nonce, sealed, self._head))
        except InvalidTag:
            at = _HEAD.size + self._number * (PIECE_BYTES + _TAG_BYTES)
            why = "the passphrase is another one, or " if not self._number else ""
            raise NotOpened(
                f"{why}the piece at byte {at:,} is not as it was written, or the end is cut off"
            ) from None
        self._number += 1
