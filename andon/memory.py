"""A cap on the memory that a process may take beyond what it started with: past it, the process ends itself.

A five-byte OPC UA value can ask for gigabytes. A thread looks at the real memory ten times a second and ends the
process where it grew too much; the limit of the kernel stands behind it, for one allocation too large to be seen
coming. It is far above, because the kernel counts what is asked for and not what is used.
"""

import ctypes
import logging
import os
import resource
import threading
import time
from pathlib import Path

ENDED = 77
"""The exit code of a process that took too much memory."""
LOOK_S = 0.1
SLACK_BYTES = 512 * 1024**2  # stacks and arenas of threads, asked for and hardly used
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT_BYTES, _LARGEST_BYTES = 64 * 1024**2, 16 * 1024**2
_STATUS = Path("/proc/self/status")
log = logging.getLogger(__name__)


def cap_growth(most_bytes: int) -> None:
    """End this process with `ENDED` once it holds `most_bytes` more than now. Without /proc only the kernel's limit."""
    before = _held("VmRSS:")
    if before is None:
        return
    data = _held("VmData:") or before
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data + most_bytes + SLACK_BYTES
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
    threading.Thread(target=_watch, args=(before, most_bytes), name="memory", daemon=True).start()


def keep_freed_memory() -> None:
    """Let this process keep up to 64 MB that it freed. Elsewhere than on glibc nothing changes.

    glibc gives arrays of 100 KB and more back to the kernel at once, and each page of the next one is then cleared
    anew: measured, a transform of four blocks of 25,600 samples took 760 us instead of 190.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def _watch(before: int, most_bytes: int) -> None:
    while True:
        time.sleep(LOOK_S)
        grown = (_held("VmRSS:") or before) - before
        if grown > most_bytes:
            log.critical(
                "took %d MB of memory beyond its start, more than memory_max_mb allows; ended", grown >> 20
            )
            os._exit(ENDED)  # at once: what could still run might be what takes the memory


def _held(name: str) -> int | None:
    """Bytes that the kernel's status of this process has under `name`."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
