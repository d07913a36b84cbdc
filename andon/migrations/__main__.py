"""For developers: `make migration NAME=...` writes the step from the last schema to the tables as they are in the code."""

import sys
import tempfile
from pathlib import Path

from andon.database import open_database
from andon.schema import begin_at_nothing, bring_up, revise

if len(sys.argv) < 2 or not sys.argv[1].strip():
    sys.exit("say what changes: make migration NAME='tickets have a site'")
with tempfile.TemporaryDirectory() as folder:
    database = open_database(Path(folder) / "store.sqlite")
    begin_at_nothing(database)
    bring_up(database)
    revise(database, sys.argv[1])
    database.dispose()
