"""Topic templates: how a foreign topic is read, and the texts that are filled in from it and from the payload.

`plant/+/{asset}/{point}/{rest...}`: literal levels, `+` for any one level, `{name}` for one that is kept,
`{name...}` for one or more that are kept, and `#` at the end for whatever follows. Without a slash it is split at
its dots.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

_CAPTURE = re.compile(r"\{([a-z][a-z0-9_]*)(\.\.\.)?\}")
_FIELD = re.compile(r"\{([a-z][a-z0-9_]*|\.[^{}]*)\}")
_FRESH = "\ue000"  # a level that no template names: of private use in Unicode
MAX_MANY = 2
Kind = Literal["literal", "one", "many", "rest"]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a template. `text` is what a literal says, or the name that the level is kept under."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Template:
    """A parsed template; see `template`."""

    source: str
    separator: str
    levels: tuple[Level, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names that it keeps levels under."""
        return frozenset(level.text for level in self.levels if level.kind != "literal" and level.text)

    def match(self, topic: str) -> dict[str, str] | None:
        """What the topic says under each name; None if the template does not fit it.

        >>> template("umh.v1.{where...}._historian.{tag}").match("umh.v1.acme.mill.press-07._historian.temp")
        {'where': 'acme.mill.press-07', 'tag': 'temp'}
        """
        found = self._pattern.fullmatch(topic)
        return None if found is None else found.groupdict()

    def covers(self, other: "Template") -> bool:
        """Whether every topic that fits the other one fits this one too.

        A level that the other leaves open is tried with one that no template names, and a run of levels with every
        length up to one more than this template has: what fits those fits all.
        """
        return all(self.match(topic) is not None for topic in other.examples(len(self.levels) + 1))

    def meets(self, other: "Template") -> str | None:
        """A topic that fits both, None if there is none."""
        if self.separator == other.separator:
            common = _common(self.levels, other.levels)
            return None if common is None else self.separator.join(common)
        for one, two in ((self, other), (other, self)):
            for topic in one.examples(0):
                if two.match(topic) is not None:
                    return topic
        return None

    def examples(self, longest: int) -> Iterator[str]:
        """Topics that fit, with each run of open levels up to `longest` levels longer than it has to be."""
        least = [0 if level.kind == "rest" else 1 for level in self.levels if level.kind in {"many", "rest"}]
        for lengths in itertools.product(*(range(low, low + longest + 1) for low in least)):
            runs = iter(lengths)
            words: list[str] = []
            for level in self.levels:
                if level.kind == "literal":
                    words.append(level.text)
                else:
                    words += [_FRESH] * (1 if level.kind == "one" else next(runs))
            yield self.separator.join(words)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Runs of levels are as short as they can be, from left to right."""
        one = r"[^/]+" if self.separator == "/" else r"[^/.]+"
        split = re.escape(self.separator)
        parts: list[str] = []
        for level in self.levels:
            if level.kind == "rest":
                parts.append(f"(?:{split}.*)?" if parts else ".*")
                break
            body = {
                "literal": re.escape(level.text),
                "one": one,
                "many": rf"{one}(?:{split}{one})*?",
            }[level.kind]
            named = f"(?P<{level.text}>{body})" if level.kind != "literal" and level.text else body
            parts.append((split if parts else "") + named)
        return re.compile("".join(parts), re.DOTALL)


def template(source: str) -> Template:
    """The parsed template; ValueError says what is wrong with it."""
    if not source:
        raise ValueError("a template is not empty")
    separator = "." if "/" not in source and "." in _CAPTURE.sub("", source) else "/"
    marked = _CAPTURE.sub(lambda m: m[0].replace("...", "\x00"), source)
    levels = tuple(_level(word.replace("\x00", "...")) for word in marked.split(separator))
    if any(level.kind == "rest" for level in levels[:-1]):
        raise ValueError(f"{source!r}: '#' stands at the end only")
    if sum(level.kind == "many" for level in levels) > MAX_MANY:
        raise ValueError(f"{source!r}: at most {MAX_MANY} levels may be of the form {{name...}}")
    names = [level.text for level in levels if level.kind != "literal" and level.text]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{source!r}: a name keeps one level; twice: {', '.join(twice)}")
    return Template(source, separator, levels)


def _level(word: str) -> Level:
    if word == "+":
        return Level("one", "")
    if word == "#":
        return Level("rest", "")
    capture = _CAPTURE.fullmatch(word)
    if capture is not None:
        return Level("many" if capture[2] else "one", capture[1])
    if any(sign in word for sign in "{}+#\x00"):
        raise ValueError(f"a level is a word, '+', '#', {{name}} or {{name...}}, not {word!r}")
    return Level("literal", word)


def _common(left: tuple[Level, ...], right: tuple[Level, ...]) -> list[str] | None:
    """The levels of a topic that fits both; None if there is none."""
    if not left and not right:
        return []
    if not left or not right:
        last = left or right
        return [] if last[0].kind == "rest" else None
    (one, *left_on), (two, *right_on) = left, right
    if one.kind == "literal" and two.kind == "literal" and one.text != two.text:
        return None
    after_left, after_right = tuple(left_on), tuple(right_on)
    if one.kind == "rest" or two.kind == "rest":
        tail = right if one.kind == "rest" else left
        return [level.text if level.kind == "literal" else _FRESH for level in tail if level.kind != "rest"]
    word = one.text if one.kind == "literal" else two.text if two.kind == "literal" else _FRESH
    # Both end here, or a run of levels goes on over the other's next.
    ways = [(after_left, after_right)]
    if one.kind == "many":
        ways.append((left, after_right))
    if two.kind == "many":
        ways.append((after_left, right))
    for way in ways:
        rest = _common(*way)
        if rest is not None:
            return [word, *rest]
    return None


@dataclass(frozen=True, slots=True)
class Text:
    """A text with places to fill in: `{name}` from the topic, `{.key.path}` from the payload; see `text`."""

    parts: tuple[str | tuple[str, ...], ...]

    @property
    def names(self) -> frozenset[str]:
        """What it wants from the topic."""
        return frozenset(part[0] for part in self.parts if isinstance(part, tuple) and part[0] != "")

    @property
    def constant(self) -> str | None:
        """The whole text, if nothing is left to fill in."""
        if all(isinstance(part, str) for part in self.parts):
            return "".join(part for part in self.parts if isinstance(part, str))
        return None

    def bound(self, captures: Mapping[str, str]) -> "Text":
        """The text with what these names say."""
        return Text(
            tuple(
                captures[part[0]] if isinstance(part, tuple) and part[0] in captures else part
                for part in self.parts
            )
        )

    def filled(self, look_up: Callable[[tuple[str, ...]], str | None]) -> str | None:
        """The text with what the payload says at each path; None if it says nothing at one of them."""
        words: list[str] = []
        for part in self.parts:
            word = part if isinstance(part, str) else look_up(part[1:])
            if word is None:
                return None
            words.append(word)
        return "".join(words)


def text(source: str) -> Text:
    """The parsed text; ValueError says what is wrong with it.

    >>> text("{line}-{.machine.id}").bound({"line": "L1"}).filled({("machine", "id"): "7"}.get)
    'L1-7'
    """
    parts: list[str | tuple[str, ...]] = []
    at = 0
    for field in _FIELD.finditer(source):
        parts.append(source[at : field.start()])
        parts.append(path(field[1][1:], ("",)) if field[1].startswith(".") else (field[1],))
        at = field.end()
    parts.append(source[at:])
    if any(sign in part for part in parts if isinstance(part, str) for sign in "{}"):
        raise ValueError(f"{source!r}: what is filled in is {{name}} or {{.key.path}}")
    return Text(tuple(part for part in parts if part))


def path(keys: str, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The keys of `a.b.c`; a dot that belongs to a key is written twice."""
    if not keys:
        return before
    return (*before, *(key.replace("\x00", ".") for key in keys.replace("..", "\x00").split(".")))
