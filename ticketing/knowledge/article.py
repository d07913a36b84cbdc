"""What an article is, and what is drawn from a closed ticket for one: title, cause, keywords, what is attached (rule 48)."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ticketing.causes import Cause, refuses
from ticketing.errors import Missing
from ticketing.ticket import Ticket
from ticketing.vague import is_vague

TITLE_CHARACTERS = 80
KEYWORDS = 8
KEYWORD_CHARACTERS = 40


class ArticleState(StrEnum):
    """DRAFT lies in the edit pool; then PUBLISHED, MERGED into one that says the same, or DISCARDED.

    What was published may be WITHDRAWN, and published again.
    """

    DRAFT = "draft"
    PUBLISHED = "published"
    MERGED = "merged"
    DISCARDED = "discarded"
    WITHDRAWN = "withdrawn"


REVIEWABLE = frozenset({ArticleState.DRAFT, ArticleState.WITHDRAWN})
"""What can be published."""
EDITABLE = REVIEWABLE | {ArticleState.PUBLISHED}


@dataclass(frozen=True, slots=True)
class Body:
    """What an article says. `cause` is the code of a root cause, `attachments` the kinds of what its ticket shows."""

    title: str = ""
    problem: str = ""
    solution: str = ""
    keywords: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Article:
    """An article in its newest version.

    `asset`, `model`, `component`, `condition` and `fault_type` say what it is about, as its ticket did. `shared`:
    everybody reads it, wherever they work; else only who sees that machine. `due_ns` is when its review is due.
    `citations` counts the tickets that it helped on.
    """

    id: int
    number: str
    state: ArticleState
    version: int
    body: Body
    asset: str
    model: str
    component: str
    condition: str
    fault_type: str | None
    ticket: int | None
    cycle: int | None
    shared: bool
    created_ns: int
    changed_ns: int
    merged_into: int | None = None
    note: str = ""
    due_ns: int | None = None
    reviewer: str | None = None
    reviewed_ns: int | None = None
    citations: int = 0


def drawn_from(
    ticket: Ticket, attachments: Sequence[str], parts: Sequence[str], scene: Sequence[str] = ()
) -> Body:
    """What a closed ticket teaches, before anybody has reviewed it: the handler's own words, taken apart.

    `parts` are those that were issued for it, `scene` the labels of its scene tag.
    """
    said = f"{ticket.summary} {ticket.description}"
    return Body(
        title=title_of(ticket.summary),
        problem=ticket.description.strip(),
        solution=ticket.summary.strip(),
        keywords=_once([*parts, *keywords_of(said), *scene])[:KEYWORDS],
        attachments=_once(attachments),
        cause=ticket.cause,
    )


_SENTENCE = re.compile(r"[。！？；!?;\n]|\.(?=\s|$)")


def title_of(summary: str) -> str:
    """The first sentence of what was done, cut at `TITLE_CHARACTERS`.

    >>> title_of("外圈剥落，已更换轴承 6206。试运行正常。")
    '外圈剥落，已更换轴承 6206'
    """
    first = " ".join(_SENTENCE.split(summary.strip(), maxsplit=1)[0].split())
    return first if len(first) <= TITLE_CHARACTERS else first[: TITLE_CHARACTERS - 1] + "…"


_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_EMPTY = (
    *(
        "已经",
        "进行",
        "之后",
        "以后",
        "然后",
        "现场",
        "发现",
        "目前",
        "由于",
        "因为",
        "导致",
        "并且",
        "以及",
        "可以",
    ),
    *(
        "需要",
        "没有",
        "我们",
        "完成",
        "正常",
        "恢复",
        "设备",
        "处理",
        "已",
        "了",
        "后",
        "并",
        "将",
        "和",
        "与",
    ),
    *("及", "的", "为", "被", "把", "在", "是", "有", "又", "再", "也", "从", "其", "该", "等"),
)
_BREAK = re.compile("|".join(sorted(_EMPTY, key=len, reverse=True)))
_RUN = re.compile(rf"[{_HAN}]+|[A-Za-z0-9][A-Za-z0-9./_-]*[A-Za-z0-9]|[0-9]")
_STOP_WORDS = frozenset(
    (
        *(
            "a",
            "an",
            "and",
            "after",
            "again",
            "all",
            "are",
            "as",
            "at",
            "back",
            "be",
            "been",
            "before",
            "but",
        ),
        *(
            "by",
            "can",
            "check",
            "checked",
            "done",
            "for",
            "from",
            "has",
            "have",
            "in",
            "into",
            "is",
            "it",
            "its",
        ),
        *("no", "not", "now", "of", "off", "ok", "on", "one", "or", "out", "replaced", "so", "than", "that"),
        *(
            "the",
            "then",
            "there",
            "this",
            "to",
            "up",
            "was",
            "were",
            "when",
            "with",
            "machine",
            "works",
            "working",
            "fixed",
        ),
        *("repaired"),
    )
)


def keywords_of(text: str) -> tuple[str, ...]:
    """The words of a text that say something: Chinese phrases between particles, other words that are no stop words.

    >>> keywords_of("外圈剥落，已更换轴承 6206-2Z，并重新对中")
    ('外圈剥落', '更换轴承', '6206-2Z', '重新对中')
    >>> keywords_of("The seal was worn, replaced it with NBR 70 and bled the circuit.")
    ('seal', 'worn', 'NBR', '70', 'bled', 'circuit')
    """
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text)):
        if run[0] >= "\u3400":
            found += [piece for piece in _BREAK.split(run) if 2 <= len(piece) <= KEYWORD_CHARACTERS]
        elif run.casefold() not in _STOP_WORDS and len(run) > 1:
            found.append(run[:KEYWORD_CHARACTERS])
    return _once(found)


def _once(words: Sequence[str]) -> tuple[str, ...]:
    """Each word once, whatever its case, in their order."""
    kept: dict[str, str] = {}
    for word in words:
        if clean := " ".join(word.split()):
            kept.setdefault(clean.casefold(), clean)
    return tuple(kept.values())


def wrong_with(body: Body, causes: Mapping[str, Cause]) -> list[Missing]:
    """What an article lacks before it can be published: a title, what to do, a keyword, one of the site's causes."""
    wrong = [
        Missing(name, "vague" if text.strip() else "absent")
        for name, text in (("title", body.title), ("solution", body.solution))
        if not text.strip() or is_vague(text)
    ]
    wrong += [] if body.keywords else [Missing("keywords")]
    why = refuses(body.cause, causes)
    return [*wrong, Missing("cause", why)] if why else wrong


def keywords_from(line: str) -> tuple[str, ...]:
    """Keywords as people write them in one line, separated by commas of either script.

    >>> keywords_from("密封，V8000, nbr,NBR 、")
    ('密封', 'V8000', 'nbr')
    """
    return _once([word[:KEYWORD_CHARACTERS] for word in re.split(r"[,，、;；\n]", line)])
