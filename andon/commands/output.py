"""What the verbs share when they show or write results."""

import json
import sys
from pathlib import Path

from andon.commands import Refused
from andon.events import Json


def write_json(path: Path, document: Json) -> None:
    """Write the document to the file, whose folder is made, or to standard output for '-'."""
    text = json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"
    if path == Path("-"):
        sys.stdout.write(text)
    else:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}") from error
