"""What is wrong with a recording is said of that recording: a broken file among many is named, never skipped."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from scipy.io.matlab import MatReadError

BROKEN = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    MatReadError,
)
"""What the readers of text, NumPy's archives and MATLAB's files raise on one that is damaged or another's."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever stops the reading in here becomes a ValueError that names the file."""
    try:
        yield
    except BROKEN as error:
        raise ValueError(f"{path} cannot be read as a recording of this set: {error}") from error
