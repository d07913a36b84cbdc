"""A past of bounded size: every k-th row is kept, and twice as seldom whenever there is no more room."""

from dataclasses import dataclass, field

import numpy as np

from andon.events import Float32

MOST = 960


@dataclass(slots=True)
class Thinned:
    """Rows number 0, stride, 2 · stride … of all that came, evenly over the whole past; at most `MOST`."""

    rows: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    held: int = 0
    stride: int = 1
    count: int = 0

    def add(self, row: Float32) -> None:
        """Take the next row, and keep it if it is its turn.

        >>> past = Thinned()
        >>> for k in range(1000):
        ...     past.add(np.array([k], np.float32))
        >>> past.held, past.stride, past.rows[:3, 0].tolist()
        (500, 2, [0.0, 2.0, 4.0])
        """
        if self.count % self.stride == 0:
            if self.held == MOST:
                self.rows[: MOST // 2] = self.rows[::2].copy()
                self.held, self.stride = MOST // 2, 2 * self.stride
            if self.held == len(self.rows):
                room = np.zeros((min(MOST, 2 * self.held + 64), row.size), np.float32)
                if self.held:
                    room[: self.held] = self.rows
                self.rows = room
            self.rows[self.held] = row
            self.held += 1
        self.count += 1

    def until(self, count: int) -> int:
        """How many of the kept rows are among the first `count` that came."""
        return min(self.held, max(0, (count - 1) // self.stride + 1))
