"""A backup that somebody made up: it holds plain files alone, none of which grows larger than what came."""

import io
import tarfile
from pathlib import Path

import pytest

from andon.backups.archive import Broken
from andon.backups.put_back import put_back


def put(backup: Path, data: Path) -> None:
    put_back(backup, data, passphrase=None, store_url=None, advance=lambda _size: None)


def test_neither_a_link_nor_a_file_of_holes_is_unpacked(tmp_path: Path) -> None:
    link, holes = tarfile.TarInfo("data/link"), tarfile.TarInfo("data/holes")
    link.type, link.linkname = tarfile.LNKTYPE, "data/nothing"
    holes.size = 512
    holes.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(1 << 28),
    }
    for entry in (link, holes):
        with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(entry, io.BytesIO(b"0\n".ljust(entry.size, b"\0")))
        with pytest.raises(Broken, match="no file of a backup"):
            put(tmp_path / "b.tar", tmp_path / "back")
