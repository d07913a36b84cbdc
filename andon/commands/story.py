"""`andon story`: plays the story of a plant in a house of its own and tells it, with a tick for all that was as expected."""

import argparse
import tempfile
from pathlib import Path

from andon import stories
from andon.commands import Refused
from andon.commands.explain import locale_named
from andon.datadir import open_store
from andon.stories.document import read
from andon.stories.tale import markdown
from andon.stories.teller import Teller
from api.catalogue import LANGUAGES, negotiate, words_of

HERE = Path(stories.__file__).parent


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    known = ", ".join(sorted(file.stem for file in HERE.glob("*.toml")))
    parser.add_argument(
        "story", metavar="STORY", help=f"a file, or the name of one that Andon brings: {known}"
    )
    parser.add_argument("--to", type=Path, metavar="FILE.md", help="write the tale here (default: print it)")
    parser.add_argument("--language", choices=LANGUAGES, help="of the tale (default: that of your terminal)")


def run(arguments: argparse.Namespace) -> int:
    """Tell it; 0 if all was as expected, 1 if not."""
    file = HERE / f"{arguments.story}.toml"
    story = read(file if file.exists() else Path(arguments.story))
    words = words_of(arguments.language or negotiate(None, locale_named()))
    with tempfile.TemporaryDirectory(prefix="andon-story-") as folder:
        database = open_store(Path(folder))
        try:
            with Teller(story, Path(folder), database) as teller:
                tale = teller.tell()
        finally:
            database.dispose()
    text = "\n".join(markdown(tale, words)) + "\n"
    if arguments.to is None:
        print(text, end="")
    else:
        try:
            arguments.to.write_text(text, "utf-8")
        except OSError as error:
            raise Refused(f"{arguments.to} cannot be written: {error.strerror}") from error
        print(f"{arguments.to}: {text.splitlines()[-1]}")
    return 0 if tale.whole else 1
