"""Chance that can be asked again: every draw is a function of the seed and of what it is for.

A simulated plant must tell the same story however its time is cut, also after a restart in the middle. A
generator that is drawn from in turn cannot do that; one that is made anew for each (seed, purpose, index) can.
"""

from hashlib import blake2b

import numpy as np

Key = int | str


def _digest(key: tuple[Key, ...], size: int) -> bytes:
    return blake2b("\x1f".join(map(str, key)).encode(), digest_size=size).digest()


def fraction(*key: Key) -> float:
    """A number in [0, 1) that belongs to this key.

    >>> fraction(7, "late", 12) == fraction(7, "late", 12) != fraction(8, "late", 12)
    True
    """
    return int.from_bytes(_digest(key, 8), "big") / 2**64


def between(low: float, high: float, *key: Key) -> float:
    """A number in [low, high) that belongs to this key."""
    return low + (high - low) * fraction(*key)


def identity(*key: Key) -> bytes:
    """Sixteen bytes that belong to this key: boot ids, event ids."""
    return _digest(key, 16)


def generator(*key: Key) -> np.random.Generator:
    """A generator whose first draw is the same each time it is made for this key."""
    return np.random.Generator(np.random.SFC64(int.from_bytes(_digest(key, 16), "big")))
