"""Passwords: what makes one good enough, how it is kept, and random ones to begin with."""

import secrets
import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from andon.access.errors import AccessRefused

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""argon2id, 64 MiB, 3 passes, some 150 ms: RFC 9106, section 4, second recommended option."""

SHORTEST, LONGEST = 12, 256
_DISTINCT, _LEFT = 5, 6
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_COMMON = (
    "password passwort passw0rd p@ssw0rd p@ssword qwertyuiop qwerty asdfghjkl zxcvbnm 1qaz2wsx 1q2w3e4r5t 1q2w3e4r "
    "1234567890 123456789 12345678 1234567 123456 12345 1234 123 0987654321 abcdefghijkl abcdefgh abcdef abc "
    "letmein welcome iloveyou administrator admin root user login master superman batman dragon monkey princess "
    "football baseball sunshine shadow trustno1 changeme change me default secret test andon factory plant machine "
    "operator maintenance woaini wodemima mima"
)
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash takes its memory: many that sign in together wait for one another, and the rest goes on."""


def random_password() -> str:
    """16 characters that are not taken for one another, in fours: 79 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def check(password: str, *names: str) -> None:
    """AccessRefused unless it is long enough and nobody would guess it early; nothing is asked of its composition.

    Source: NIST SP 800-63B, 5.1.1.2 (length, a list of common ones, words of the context).
    """
    text = _normal(password)
    if len(text) < SHORTEST:
        raise AccessRefused("password_short", f"a password has at least {SHORTEST} characters")
    if len(text) > LONGEST:
        raise AccessRefused("password_long", f"a password has at most {LONGEST} characters")
    folded = text.casefold()
    if any(name and name.casefold() in folded for name in names):
        raise AccessRefused("password_is_name", "the password holds the name; choose one that does not")
    if len(set(folded)) < _DISTINCT or _is_common(folded):
        raise AccessRefused(
            "password_common", "that is one of the first that anybody would try; choose another"
        )


def hashed(password: str, hasher: PasswordHasher = HASHER) -> str:
    """The argon2id hash to keep."""
    with _AT_ONCE:
        return hasher.hash(_normal(password))


def is_right(password: str, kept: str | None, hasher: PasswordHasher = HASHER) -> bool:
    """Whether that is the password; without an account (`None`) it takes as long, and it is not."""
    try:
        with _AT_ONCE:
            right = hasher.verify(_decoy(hasher) if kept is None else kept, _normal(password)[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return right and kept is not None


def is_outdated(kept: str, hasher: PasswordHasher = HASHER) -> bool:
    """Whether it was made with other parameters than today's, and is to be made anew while the password is at hand."""
    return hasher.check_needs_rehash(kept)


@cache
def _decoy(hasher: PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe(16))


def _normal(password: str) -> str:
    """The same password typed on another keyboard is the same: NIST SP 800-63B, 5.1.1.2 (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def _is_common(folded: str) -> bool:
    """Whether next to nothing is left once the words that everybody tries are taken out.

    >>> _is_common("password1234"), _is_common("qwertyuiop-2026"), _is_common("three red pumps")
    (True, True, False)
    """
    for word in _COMMON.split():
        folded = folded.replace(word, "")
    return len(folded) < _LEFT
