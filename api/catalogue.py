"""Every word that a person reads, in zh and en, by key; sentences are whole, never glued together."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from markupsafe import Markup, escape

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FOLDER = Path(__file__).parent / "web" / "catalogue"
TAGS: Mapping[Language, str] = {"zh": "zh-CN", "en": "en"}
"""Language -> BCP 47 tag for `lang` attributes."""


class Words:
    """One language. `words("frame.inbox")` gives text; `words.html(...)` gives markup with the arguments in bold.

    A key whose value is a table with `other` counts: its argument `n` chooses between `one` and `other`.
    """

    def __init__(self, language: Language, texts: Mapping[str, str | Mapping[str, str]]) -> None:
        self.language: Language = language
        self.tag = TAGS[language]
        self._texts = texts

    def __call__(self, key: str, **arguments: object) -> str:
        """The text of that key with its arguments filled in; KeyError if there is none."""
        return self._pattern(key, arguments).format(**arguments)

    def html(self, key: str, **arguments: object) -> Markup:
        """The same as markup: arguments are escaped and stand out."""
        bold = {name: Markup("<b>{}</b>").format(value) for name, value in arguments.items()}
        return Markup(escape(self._pattern(key, arguments)).format(**bold))  # noqa: S704

    def __contains__(self, key: str) -> bool:
        """Whether that key has a text."""
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        """All keys."""
        return iter(self._texts)

    def patterns(self, key: str) -> Mapping[str, str]:
        """The raw texts of a key: `other` alone, or `one` and `other`."""
        found = self._texts[key]
        return {"other": found} if isinstance(found, str) else found

    def _pattern(self, key: str, arguments: Mapping[str, object]) -> str:
        found = self._texts[key]
        if isinstance(found, str):
            return found
        return found.get("one", found["other"]) if arguments.get("n") == 1 else found["other"]


@cache
def words_of(language: Language) -> Words:
    """The catalogue of that language, read once."""
    document = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
    return Words(language, dict(_flat(document, "")))


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict) and "other" in value:
            yield key, cast("Mapping[str, str]", value)
        elif isinstance(value, dict):
            yield from _flat(value, f"{key}.")


def negotiate(chosen: str | None, accept: str) -> Language:
    """The language that was chosen, else the best of an Accept-Language header, else English.

    >>> negotiate(None, "de;q=0.9, zh-TW;q=0.8, en;q=0.7"), negotiate("en", "zh"), negotiate(None, "fr")
    ('zh', 'en', 'en')
    """
    if chosen in LANGUAGES:
        return chosen
    weighed = []
    for place, item in enumerate(accept.split(",")):
        name, _, quality = item.strip().partition(";q=")
        try:
            weighed.append((-float(quality or 1), place, name[:2].lower()))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(weighed) if name in LANGUAGES), "en")
