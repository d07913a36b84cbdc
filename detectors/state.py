"""A detector's state as flat arrays and JSON, so that a snapshot needs no pickle.

A state is a tree of mutable dataclasses whose leaves are arrays or JSON values; a mapping from names to
dataclasses is a branch as well, and `Grown` is one whose names are found while it runs. Leaves are named by their
path: `points/DE/history`.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from andon.events import Json
from andon.ports import State

Leaf = NDArray[Json] | Json
Part = TypeVar("Part")
_WORDS = frozenset({bool, int, float, str, type(None)})
_NAMES = ".names"  # of a grown mapping: no field is called so


class Grown(dict[str, Part]):
    """A mapping from names to dataclasses whose members are made when they are first asked for, also by `load`.

    A name holds no "/".
    """

    def __init__(self, make: Callable[[], Part]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Part:
        self[name] = made = self._make()
        return made


def flatten(tree: Json, prefix: str = "") -> dict[str, Leaf]:
    """The leaves of a state by path, copied, so that the detector may go on while they are written.

    Parameters
    ----------
    tree
        A dataclass, or a dict from names to dataclasses.
    prefix
        Path of the tree itself, ending in "/".
    """
    flat: dict[str, Leaf] = {prefix + _NAMES: list(tree)} if isinstance(tree, Grown) else {}
    for name, value in _parts(tree):
        path = prefix + name
        if type(value) in _WORDS:
            flat[path] = value
        elif isinstance(value, np.ndarray):
            flat[path] = value.copy()
        elif _is_branch(value):
            flat |= flatten(value, path + "/")
        else:
            flat[path] = copy.deepcopy(value)
    return flat


def load(tree: Json, flat: State, prefix: str = "") -> None:
    """Put flattened leaves back into a fresh tree of the same detector.

    A leaf that the snapshot lacks keeps its fresh value and one that the tree lacks is left out, so that a
    point can come or go between snapshot and restart. Arrays take the tree's dtype.
    """
    if isinstance(tree, Grown):
        for name in flat.get(prefix + _NAMES, ()):
            tree[name]
    for name, value in _parts(tree):
        path = prefix + name
        if _is_branch(value):
            load(value, flat, path + "/")
        elif path in flat:
            _set(tree, name, _like(value, flat[path]))


def size_bytes(flat: State) -> int:
    """Bytes of a snapshot: of its arrays, and one per character of everything else."""
    return sum(v.nbytes if isinstance(v, np.ndarray) else len(repr(v)) for v in flat.values())


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _parts(tree: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(tree, dict):
        yield from list(tree.items())
    else:
        for name in _names(tree.__class__):
            yield name, getattr(tree, name)


def _is_branch(value: Json) -> bool:
    if isinstance(value, Grown):
        return True
    if isinstance(value, dict):
        return bool(value) and all(is_dataclass(part) for part in value.values())
    return is_dataclass(value)


def _like(fresh: Json, kept: Leaf) -> Leaf:
    if isinstance(fresh, np.ndarray):
        return np.array(kept, dtype=fresh.dtype)
    return copy.deepcopy(kept)


def _set(tree: Json, name: str, value: Leaf) -> None:
    if isinstance(tree, dict):
        tree[name] = value
    else:
        setattr(tree, name, value)
