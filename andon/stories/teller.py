"""Tells a story: plays its steps in a house, checks after each what is expected, and keeps what was seen."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import httpx
from PIL import Image, ImageDraw
from sqlalchemy import Engine as Database

from andon.events import Json, rfc3339
from andon.plant import Plant
from andon.stories import machines
from andon.stories.checks import Check, compared
from andon.stories.deeds import DEEDS, DeedOf
from andon.stories.document import Step, Story
from andon.stories.house import TOKEN, House

_NAME = re.compile(r"\{(\w+)(\.number)?\}")
_CODE = re.compile(r"\b(\d{6})\b")
NEWEST: Mapping[str, dict[str, str]] = {"tickets": {"sort": "newest"}, "problems": {}}
"""How what is new is looked for."""
NEW = 9
"""What is done once opens no more than that."""


@dataclass(frozen=True, slots=True)
class Told:
    """A step as it was told: when, what was checked, and what came on phones: (whose, text)."""

    step: Step
    checks: tuple[Check, ...]
    phones: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Tale:
    """A story that was told, as far as it went: it ends early where a step could not be done."""

    story: Story
    steps: list[Told] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    """What the story calls something -> its number."""

    @property
    def failures(self) -> Sequence[str]:
        """What was not as expected: the step, its time, and what was seen instead."""
        return [
            f"{told.step.at:%Y-%m-%d %H:%M:%S} {told.step.en!r}: {check}"
            for told in self.steps
            for check in told.checks
            if not check.holds
        ]

    @property
    def whole(self) -> bool:
        """Whether all steps were told and everything was as expected."""
        return len(self.steps) == len(self.story.step) and not self.failures


class Teller:
    """Tells one story in a folder and a store of its own, which stay as they are after the last step."""

    def __init__(self, story: Story, folder: Path, database: Database) -> None:
        self._story = story
        self._house = House(folder, database, story.plant, story.ns(story.begins), dict(story.phones))
        self._named: dict[str, tuple[int, str]] = {}
        self._known: dict[str, set[int]] = {"tickets": set(), "problems": set()}

    def __enter__(self) -> Self:
        self._house.__enter__()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._client = httpx.Client(base_url=f"{self._house.url}/api/v1/", headers=headers, timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._house.__exit__(kind, error, trace)

    @property
    def house(self) -> House:
        """Where it is told."""
        return self._house

    def tell(self) -> Tale:
        """All steps, until one cannot be done."""
        tale = Tale(self._story)
        for step in self._story.step:
            heard = len(self._house.phones.got)
            done = tuple(self._happens(step))
            goes_on = all(check.holds for check in done)
            phones = self._said_since(heard)
            expected = tuple(self._as_expected(step, phones)) if goes_on else ()
            tale.steps.append(Told(step, (*done, *expected), phones))
            tale.numbers = {name: number for name, (_, number) in self._named.items()}
            if not goes_on:
                break
        return tale

    def _happens(self, step: Step) -> Iterator[Check]:
        """What the step does; a check that fails says why it could not be done."""
        at_ns, house = self._story.ns(step.at), self._house
        answers: list[httpx.Response] = []
        if step.measured is not None:
            house.receives(machines.measurements(house.asset(step.measured.asset), step.measured, at_ns))
        house.moves_to(at_ns)
        if step.stops is not None:
            house.receives([machines.stop(house.asset(step.stops.asset), step.stops, at_ns)])
        if step.runs is not None:
            house.receives([machines.run(house.asset(step.runs.asset), step.runs, at_ns)])
        if step.changes:
            house.changes(_changed(house.plant, step.changes))
        if step.do:
            answers = [self._does(one) for one in step.times()]
            house.settles()
            for answer in answers:
                yield from self._answered(step, answer)
        yield from self._opened(step)
        self._calls_parts(step, answers)

    def _does(self, step: Step) -> httpx.Response:
        deed = DEEDS[step.do]
        on = self._id(step.on) if deed.on_named or step.on in self._named else step.on
        headers = {"X-Andon-Person": step.by}
        if deed.versioned:
            headers["If-Match"] = self._client.get(f"{deed.named}/{on}").headers["ETag"]
        path = deed.path.replace("{on}", str(on))
        body = self._filled(step.with_)
        if deed.file:
            picture = {deed.file: ("picture.png", _picture(step, deed), "image/png")}
            return self._client.post(path, files=picture, headers=headers)
        if deed.method == "DELETE":
            return self._client.delete(path, params=body, headers=headers)
        return self._client.request(deed.method, path, json=body, headers=headers)

    def _answered(self, step: Step, answer: httpx.Response) -> Iterator[Check]:
        """Whether it was done, or refused as the story says."""
        if step.refused is None:
            if not answer.is_success:
                yield Check(("done", ""), (step.do,), "done", answer.text, holds=False)
            return
        said: dict[str, Json] = {"code": "done"} if answer.is_success else answer.json()
        missing = [f"{one.get('demand') or one.get('field')} {one['why']}" for one in said.get("missing", ())]
        wanted = {"code": step.refused.code, "missing": list(step.refused.missing)}
        yield Check(
            ("refused", ""),
            (step.do,),
            wanted,
            {"code": said.get("code"), "missing": missing},
            holds=said.get("code") == step.refused.code and sorted(missing) == sorted(step.refused.missing),
        )

    def _opened(self, step: Step) -> Iterator[Check]:
        """Every ticket and task that is new has its name in the story, and every name something new."""
        for kind, name in (("tickets", step.calls.ticket), ("problems", step.calls.problem)):
            params = NEWEST[kind] | {"limit": str(NEW + len(step.each))}
            listed = self._client.get(kind, params=params).json()["items"]
            new = [one for one in listed if one["id"] not in self._known[kind]]
            new.sort(key=lambda one: int(one["id"]))
            self._known[kind] |= {one["id"] for one in new}
            names = _numbered(name, step)
            if len(new) != len(names):
                seen = [f"{one['number']} {one.get('asset', '')}" for one in new]
                yield Check(("opened", ""), (kind,), name or "none", seen, holds=False)
            elif name:
                self._named |= {
                    called: (one["id"], one["number"]) for called, one in zip(names, new, strict=True)
                }
                numbers = [one["number"] for one in new]
                ends = dict.fromkeys((numbers[0], numbers[-1]))
                subject = " \N{HORIZONTAL ELLIPSIS} ".join(ends) if step.each else name
                yield Check(("opened", subject), (kind,), numbers, numbers, holds=True)

    def _calls_parts(self, step: Step, answers: Sequence[httpx.Response]) -> None:
        """What was answered has its name in the story: a requisition, an approval, an audit."""
        for name, answer in zip(_numbered(step.calls.part, step), answers, strict=False):
            if answer.is_success:
                made = answer.json()
                self._named[name] = made["id"], str(made.get("number") or made["id"])

    def _as_expected(self, step: Step, phones: Sequence[tuple[str, str]]) -> Iterator[Check]:
        expect = step.expect
        for kind, n in (("tickets", expect.tickets), ("problems", expect.problems)):
            if n is not None:
                yield Check((kind, ""), (), n, len(self._known[kind]), len(self._known[kind]) == n)
        for name, wanted in expect.ticket.items():
            detail = self._get(f"tickets/{self._id(name)}")
            yield from self._compared(("ticket", name), wanted, detail | detail["ticket"])
        for name, wanted in expect.problem.items():
            yield from self._compared(("problem", name), wanted, self._get(f"problems/{self._id(name)}"))
        for name, clocks in expect.clock.items():
            shown = sorted(
                self._get(f"tickets/{self._id(name)}/clocks")["items"], key=lambda one: one["from_at"]
            )
            yield from self._compared(("clock", name), clocks, {one["kind"]: one for one in shown})
        for name, rows in expect.audit.items():
            events = self._get(f"tickets/{self._id(name)}")["events"][-len(rows) :]
            seen = [f"{one['actor']} {one['action']}" for one in events]
            yield Check(("audit", name), (), list(rows), seen, seen == list(rows))
        for path, wanted in expect.see.items():
            filled = str(self._filled(path))
            yield from self._compared(("see", filled), wanted, self._get(filled))
        yield from self._on_phones(step, phones)

    def _on_phones(self, step: Step, phones: Sequence[tuple[str, str]]) -> Iterator[Check]:
        for who, words in step.expect.told.items():
            texts = [text for whose, text in phones if whose == who]
            for one in words:
                said = str(self._filled(one))
                yield Check(("told", who), (), said, texts, any(said in text for text in texts))
        for who in step.expect.not_told:
            texts = [text for whose, text in phones if whose == who]
            yield Check(("not_told", who), (), [], texts, not texts)

    def _compared(self, of: tuple[str, str], wanted: Json, seen: Json) -> Iterator[Check]:
        return compared(of, self._filled(wanted, keep=True), seen, self._story.ns)

    def _get(self, path: str) -> dict[str, Json]:
        answer = self._client.get(path)
        return dict(answer.json()) if answer.is_success else {"refused": answer.text}

    def _said_since(self, heard: int) -> tuple[tuple[str, str], ...]:
        owner = {number: who for who, number in self._story.phones.items()}
        return tuple((owner.get(to, "requester"), text) for to, text in self._house.phones.got[heard:])

    def _id(self, name: str) -> int:
        return self._named[name][0]

    def _filled(self, value: Json, *, keep: bool = False) -> Json:
        """The value with what the story has named in its place, and its times as the interface wants them."""
        if isinstance(value, Mapping):
            return {str(self._filled(key)): self._filled(inner, keep=keep) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(inner, keep=keep) for inner in value]
        if isinstance(value, datetime) and not keep:
            return rfc3339(self._story.ns(value))
        if not isinstance(value, str):
            return value
        whole = _NAME.fullmatch(value)
        if whole and whole[1] in self._named and not whole[2]:
            return self._id(whole[1])
        return _NAME.sub(self._word, value)

    def _word(self, found: re.Match[str]) -> str:
        if found[1] == "code":
            return self._code()
        if found[1] not in self._named:
            return found[0]
        number, shown = self._named[found[1]]
        return shown if found[2] else str(number)

    def _code(self) -> str:
        """The last code that was sent to a phone of nobody of the plant."""
        ours = set(self._story.phones.values())
        for to, text in reversed(self._house.phones.got):
            code = _CODE.search(text) if to not in ours else None
            if code:
                return code[1]
        return "none came"


def _numbered(name: str | None, step: Step) -> list[str]:
    """The names of what a step opens: one, or as many as it is done for."""
    if not name:
        return []
    return [f"{name}_{n + 1}" for n in range(len(step.each))] if step.each else [name]


def _picture(step: Step, deed: DeedOf) -> bytes:
    """A picture that is no other step's: a photo of one shade, or a drawn signature."""
    body = io.BytesIO()
    shade = int(step.at.timestamp()) % 199
    image = Image.new("RGB", (640, 480), (shade, 90, 120) if deed.file == "photo" else "white")
    draw = ImageDraw.Draw(image)
    for (x, y), (to_x, to_y) in pairwise([(80, 300), (220, 140), (300, 330), (420, 160), (560, 260)]):
        draw.line((x, y, to_x, to_y), fill="black", width=9)
    image.save(body, "PNG")
    return body.getvalue()


def _changed(plant: Plant, changes: Mapping[str, Json]) -> Plant:
    """The plant document's next version with these changes."""
    document = cast("dict[str, Json]", _merged(plant.model_dump(mode="json"), changes))
    return Plant.model_validate(document | {"version": plant.version + 1})


def _merged(was: Json, changes: Json) -> Json:
    """Tables are merged, entries of lists by their id, code or name; everything else is replaced."""
    if isinstance(was, Mapping) and isinstance(changes, Mapping):
        return {**was, **{key: _merged(was.get(key), inner) for key, inner in changes.items()}}
    mark = _mark(changes)
    if not mark or not isinstance(was, list):
        return changes
    found = {one[mark]: one for one in was}
    for one in changes:
        found[one[mark]] = _merged(found.get(one[mark]), one)
    return list(found.values())


def _mark(changes: Json) -> str:
    """By what the entries of a list are told apart."""
    if not isinstance(changes, list) or not all(isinstance(one, Mapping) for one in changes):
        return ""
    return next(
        (mark for mark in ("id", "code", "name") if changes and all(mark in one for one in changes)), ""
    )
