"""Parts start together: each opens the same new store, and none finds it locked."""

import subprocess
import sys
from pathlib import Path

OPEN = "import sys; from pathlib import Path; from andon.datadir import open_store; open_store(Path(sys.argv[1]))"


def test_parts_that_start_together_all_open_a_new_store(tmp_path: Path) -> None:
    for number in range(4):
        data = str(tmp_path / str(number))
        running = [
            subprocess.Popen([sys.executable, "-c", OPEN, data], stderr=subprocess.PIPE) for _ in range(3)
        ]
        assert [one.communicate()[1] for one in running] == [b""] * 3
        assert [one.returncode for one in running] == [0] * 3
