"""What has been seen before surprises less: a memory of earlier surprises and what each consisted of."""

from dataclasses import dataclass, field

import numpy as np

from andon.events import Float32, Float64

MOST = 96
_BLOCK = 50  # values of which the most surprising is remembered
_LEAST = 0.4  # less is not remembered: nothing that counts is as small
_COUNTS_FROM = 0.8
_ALIKE, _WORTH, _WORTH_ANY = 0.35, 0.4, 0.4


@dataclass(slots=True)
class Memory:
    """Surprises of earlier blocks, newest last, and the greatest of the running one and of the one before."""

    count: int = 0
    kept: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    size: Float64 = field(default_factory=lambda: np.zeros(0))
    before: Float64 = field(default_factory=lambda: np.zeros(0))
    before_size: float = 0.0
    now: Float64 = field(default_factory=lambda: np.zeros(0))
    now_size: float = 0.0


def discounted(memory: Memory, parts: Float64, size: float) -> float:
    """The surprise less 0.4 for each tenfold of times that much the same has been seen, and as much for any as large.

    `parts` is what the surprise consists of, `size` their mean. Much the same: at least half as large, and apart
    by no more than 0.35 of its length. The block before counts only once another has passed: an event that
    lasts is not its own precedent.
    """
    said = size
    if size > _COUNTS_FROM and memory.size.size:
        apart = memory.kept - parts
        near = np.einsum("ij,ij->i", apart, apart) <= _ALIKE**2 * float(parts @ parts)
        said -= _WORTH * float(np.log10(1 + np.count_nonzero(near & (memory.size >= 0.5 * size))))
        said -= _WORTH_ANY * float(np.log10(1 + np.count_nonzero(memory.size >= size)))
    if size > memory.now_size:
        memory.now, memory.now_size = parts.copy(), size
    memory.count += 1
    if memory.count % _BLOCK == 0:
        _turn(memory)
    return said


def _turn(memory: Memory) -> None:
    if memory.before_size > _LEAST:
        row = memory.before.astype(np.float32)[None, :]
        memory.kept = np.vstack([memory.kept[-(MOST - 1) :], row]) if memory.size.size else row
        memory.size = np.append(memory.size[-(MOST - 1) :], memory.before_size)
    memory.before, memory.before_size = memory.now, memory.now_size
    memory.now, memory.now_size = np.zeros(0), 0.0
