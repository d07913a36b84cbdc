"""What people and machines do to tickets: each deed one transaction, refused with what is missing, and on record."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

from sqlalchemy import Connection, Engine, func, select

from andon.database import reading, writing
from andon.events import Finding
from andon.plant import Plant
from ticketing import intake, moving
from ticketing.aftermath import other_open_ticket, settle
from ticketing.book import BUS, Book, lock_assets
from ticketing.errors import (
    KeyTaken,
    Missing,
    NoEdge,
    PhotoRefused,
    StaleVersion,
    StepRefused,
    TicketNotFound,
)
from ticketing.opening import Opening
from ticketing.photos import MIME, keep, picture_of
from ticketing.states import OUTCOMES, Given, Step, Ticks, again, check, next_steps, repaired
from ticketing.tables import Row
from ticketing.tables import photo as photos
from ticketing.tables import ticket as tickets
from ticketing.ticket import UNRESOLVED, Closure, Outcome, Photo, SubState, Ticket

CONSOLE = "console"


class By(TypedDict):
    """Who does it, when (server time), and on which version of the ticket; `channel` is where they sit."""

    actor: str
    now_ns: int
    expected_version: int
    channel: NotRequired[str]


class GivenUp(By):
    """The same for a ticket that is closed without a signature: why, and what it was (one of `OUTCOMES`)."""

    reason: str
    approver: str
    outcome: NotRequired[Outcome | None]


class Tickets:
    """The tickets of one database. `photos` is the folder for their bytes, `channels` where news goes, mostly to the bus."""

    def __init__(
        self, engine: Engine, *, photos: Path | None = None, channels: Sequence[str] = (BUS,)
    ) -> None:
        self._engine = engine
        self._photos = photos
        self._channels = tuple(channels)

    def apply(
        self, conn: Connection, findings: Sequence[Finding], plant: Plant, now_ns: int
    ) -> Mapping[str, int]:
        """Fold findings into tickets inside the caller's transaction; see `intake.apply`."""
        return intake.apply(conn, findings, plant, now_ns, self._channels)

    @contextmanager
    def transaction(self, now_ns: int) -> Iterator[Book]:
        """One deed: all that is written in the book is stored at the end, or nothing of it."""
        with writing(self._engine) as conn:
            book = Book(conn, now_ns, self._channels)
            yield book
            book.save()

    @contextmanager
    def transactions(self, now_ns: int) -> Iterator[Callable[[], AbstractContextManager[Book]]]:
        """Several deeds that are stored together, each in a book of its own: one that raises leaves nothing behind."""
        with writing(self._engine) as conn:

            @contextmanager
            def book_of_its_own() -> Iterator[Book]:
                with conn.begin_nested():
                    book = Book(conn, now_ns, self._channels)
                    yield book
                    book.save()

            yield book_of_its_own

    def looking(self) -> AbstractContextManager[Connection]:
        """One snapshot, read only."""
        return reading(self._engine)

    def assign(
        self, ticket_id: int, *, person: str, backup: str, plant: Plant, reason: str = "", **by: Unpack[By]
    ) -> Ticket:
        """Give it to a named person with a named backup; routing's own suggestion needs no further reason."""
        given = Given(person=person, backup=backup, known_people=_people(plant), reason=reason)
        return self._step(
            ticket_id,
            Step.ASSIGN,
            given,
            by,
            lambda t: replace(t, assignee=person, backup=backup, assigned_ns=by["now_ns"]),
            tell=lambda t: (t.assignee, t.backup),
        )

    def transfer(
        self,
        ticket_id: int,
        *,
        person: str,
        backup: str,
        plant: Plant,
        reason: str,
        evidence: Sequence[str],
        **by: Unpack[By],
    ) -> Ticket:
        """Hand it over to another person, who has to accept it in turn (rule 27)."""
        given = Given(
            person=person,
            backup=backup,
            known_people=_people(plant),
            reason=reason,
            evidence=tuple(evidence),
        )
        return self._step(
            ticket_id,
            Step.TRANSFER,
            given,
            by,
            lambda t: replace(
                t,
                assignee=person,
                backup=backup,
                assigned_ns=by["now_ns"],
                accepted_ns=None,
                sub_state=None,
            ),
            tell=lambda t: (t.assignee, t.backup),
        )

    def decline(self, ticket_id: int, *, reason: str, evidence: Sequence[str], **by: Unpack[By]) -> Ticket:
        """The assignee does not take it: back to dispatch, counted as a claim missed."""
        return self._step(
            ticket_id,
            Step.DECLINE,
            Given(reason=reason, evidence=tuple(evidence)),
            by,
            lambda t: replace(t, assignee=None, backup=None, claim_misses=t.claim_misses + 1),
            tell=lambda _: ("dispatch",),
        )

    def accept(self, ticket_id: int, *, sub_state: SubState, **by: Unpack[By]) -> Ticket:
        """The assignee takes it and says how it begins."""
        return self._step(
            ticket_id,
            Step.ACCEPT,
            Given(sub_state=sub_state),
            by,
            lambda t: replace(t, sub_state=sub_state, accepted_ns=by["now_ns"]),
            tell=lambda t: (t.requester,),
        )

    def substate(self, ticket_id: int, *, sub_state: SubState, reason: str, **by: Unpack[By]) -> Ticket:
        """Say what the work is at now."""
        given = Given(sub_state=sub_state, reason=reason)
        return self._step(ticket_id, Step.SUBSTATE, given, by, lambda t: replace(t, sub_state=sub_state))

    def resolve(
        self, ticket_id: int, *, summary: str, cause: str | None, same_kind: bool | None, **by: Unpack[By]
    ) -> Ticket:
        """The work is done: a photo of this round, a summary, one of the 23 causes, "same kind elsewhere?"."""
        given = Given(summary=summary, cause=cause, same_kind=same_kind)
        return self._step(
            ticket_id,
            Step.RESOLVE,
            given,
            by,
            lambda t: replace(
                t,
                sub_state=None,
                summary=summary.strip(),
                cause=cause,
                same_kind=same_kind,
                handler=by["actor"],
                resolved_ns=by["now_ns"],
            ),
            tell=lambda t: (t.requester or "dispatch",),
        )

    def sign(self, ticket_id: int, *, ticks: Ticks, **by: Unpack[By]) -> Ticket:
        """The second signature: three ticks of someone other than the handler, known by login."""
        return self._step(
            ticket_id,
            Step.SIGN,
            Given(ticks=ticks),
            by,
            lambda t: replace(
                t, signer=by["actor"], closure=Closure.SIGNED, outcome=repaired(t), closed_ns=by["now_ns"]
            ),
            tell=lambda t: (t.assignee,),
        )

    def reject(self, ticket_id: int, *, reason: str, evidence: Sequence[str], **by: Unpack[By]) -> Ticket:
        """The signature is refused: the work goes on; no repeat failure of the machine."""
        return self._step(
            ticket_id,
            Step.REJECT,
            Given(reason=reason, evidence=tuple(evidence)),
            by,
            lambda t: again(t, t.state),
            tell=lambda t: (t.assignee, t.backup),
        )

    def close_unsigned(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """A supervisor closes what nobody signs; it stays marked as not confirmed."""
        return self._give_up(ticket_id, Step.CLOSE_UNSIGNED, Closure.UNSIGNED, why)

    def cancel(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """Nothing needs to be done."""
        return self._give_up(ticket_id, Step.CANCEL, Closure.CANCELLED, why)

    def false_alarm(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """There was no fault; an RCA that rests on it is flagged for review."""
        return self._give_up(ticket_id, Step.FALSE_ALARM, Closure.FALSE_ALARM, why)

    def relearn(self, ticket_id: int, *, note: str = "", **by: Unpack[By]) -> Ticket:
        """Accept what the closure proposes: what was done is declared, and the baseline learned anew."""
        return self._step(ticket_id, Step.RELEARN, Given(reason=note), by, lambda t: replace(t, relearn=True))

    def keep_baseline(self, ticket_id: int, *, reason: str, **by: Unpack[By]) -> Ticket:
        """Decline what the closure proposes: the component goes on being judged by what was learned before."""
        given = Given(reason=reason)
        return self._step(ticket_id, Step.KEEP_BASELINE, given, by, lambda t: replace(t, relearn=False))

    def duplicate(self, ticket_id: int, *, of: int, reason: str, approver: str, **by: Unpack[By]) -> Ticket:
        """Merge it into another ticket that is worked on, which takes over its keys and occurrences; gives the closed one."""
        with writing(self._engine) as conn:
            book = self._look(conn, by, ticket_id, of)
            ticket, winner = book.ticket(ticket_id), book.ticket(of)
            if winner.state not in UNRESOLVED:
                raise StepRefused(Step.DUPLICATE, ticket.state, [Missing("master", f"is_{winner.state}")])
            closed, _ = moving.merge(
                book,
                ticket,
                winner,
                reason=reason,
                approver=approver,
                actor=by["actor"],
                channel=by.get("channel", CONSOLE),
            )
            book.save()
        return closed

    def split(self, ticket_id: int, *, key: str, plant: Plant, reason: str, **by: Unpack[By]) -> Ticket:
        """Take one cause off a ticket for good, into a ticket of its own; gives the new one."""
        with writing(self._engine) as conn:
            book = self._look(conn, by, ticket_id)
            ticket = book.ticket(ticket_id)
            if ticket.state not in UNRESOLVED:
                raise NoEdge(ticket.state, "split", tuple(next_steps(ticket, Given())))
            if not reason.strip():
                raise StepRefused("split", ticket.state, [Missing("reason")])
            _, new = moving.split(
                book,
                ticket,
                key,
                route=Opening(book, plant).suggestion,
                reason=reason,
                actor=by["actor"],
                channel=by.get("channel", CONSOLE),
            )
            book.save()
        return new

    def reopen(
        self, ticket_id: int, *, reason: str, evidence: Sequence[str], approver: str, **by: Unpack[By]
    ) -> Ticket:
        """A closed ticket goes on; KeyTaken if another one is open for its cause."""
        return self._step(
            ticket_id,
            Step.REOPEN,
            Given(reason=reason, evidence=tuple(evidence), approver=approver),
            by,
            lambda t: again(t, t.state),
            tell=lambda t: (t.assignee or "dispatch", t.backup),
        )

    def comment(
        self, ticket_id: int, *, text: str, actor: str, now_ns: int, channel: str = CONSOLE
    ) -> Ticket:
        """Put a remark on record."""
        with writing(self._engine) as conn:
            book = Book(conn, now_ns, self._channels)
            self._lock(conn, ticket_id)
            ticket = book.ticket(ticket_id)
            if not text.strip():
                raise StepRefused("comment", ticket.state, [Missing("text")])
            ticket = book.record(ticket, action="comment", actor=actor, channel=channel, reason=text.strip())
            book.save()
        return ticket

    def add_photo(
        self,
        ticket_id: int,
        *,
        body: bytes,
        stage: str,
        actor: str,
        now_ns: int,
        channel: str = CONSOLE,
    ) -> Photo:
        """Keep a photo of the work; PhotoRefused if the bytes do not decode as one."""
        if self._photos is None:
            raise PhotoRefused("photo_no_folder", "no folder for photos is configured")
        picture = picture_of(body)
        keep(picture, self._photos)  # before the row: a row never names bytes that are not there
        with writing(self._engine) as conn:
            book = Book(conn, now_ns, self._channels)
            self._lock(conn, ticket_id)
            ticket = book.ticket(ticket_id)
            kept = Photo(
                ticket=ticket_id,
                sha256=picture.sha256,
                mime=MIME,
                size=len(picture.body),
                width=picture.width,
                height=picture.height,
                stage=stage,
                by=actor,
                at_ns=now_ns,
                cycle=ticket.reopen_count,
            )
            book.upsert(photos, _photo_row(kept), ())
            book.record(ticket, action="photo", actor=actor, channel=channel, evidence=(kept.sha256,))
            book.save()
        return kept

    def _give_up(self, ticket_id: int, step: Step, closure: Closure, why: GivenUp) -> Ticket:
        return self._step(
            ticket_id,
            step,
            Given(reason=why["reason"], approver=why["approver"]),
            why,
            lambda t: replace(
                t,
                sub_state=None,
                closure=closure,
                closure_note=why["reason"],
                outcome=why.get("outcome", OUTCOMES[step][0]) if step in OUTCOMES else repaired(t),
                approver=why["approver"],
                closed_ns=why["now_ns"],
            ),
            tell=lambda t: (t.assignee, t.requester),
        )

    def _step(
        self,
        ticket_id: int,
        step: Step,
        given: Given,
        by: By,
        change: Callable[[Ticket], Ticket],
        *,
        tell: Callable[[Ticket], Iterable[str | None]] = lambda _: (),
    ) -> Ticket:
        """Lock, look, check the edge's demands, change, put on record, tell: the way of every step."""
        with writing(self._engine) as conn:
            book = self._look(conn, by, ticket_id)
            before = book.ticket(ticket_id)
            given = replace(given, actor=by["actor"], photos=_photos_of_this_round(conn, before))
            state = check(before, step, given)
            taken = other_open_ticket(conn, before) if step is Step.REOPEN else None
            if taken is not None:
                raise KeyTaken(ticket_id, taken)
            after = book.record(
                change(replace(before, state=state)),
                action=step,
                actor=by["actor"],
                channel=by.get("channel", CONSOLE),
                reason=given.reason or _scores(before, given),
                evidence=given.evidence,
            )
            settle(book, before, after, given)
            said = {"reason": given.reason, "actor": by["actor"], "photos": _shown(conn, before, step)}
            book.tell(after, f"ticket.{step}", tell(after), said)
            book.save()
        return after

    def _look(self, conn: Connection, by: By, ticket_id: int, *others: int) -> Book:
        """A book on the locked tickets; StaleVersion if the first has moved on since the caller looked."""
        self._lock(conn, ticket_id, *others)
        book = Book(conn, by["now_ns"], self._channels)
        actual = book.ticket(ticket_id).version
        if actual != by["expected_version"]:
            raise StaleVersion(ticket_id, expected=by["expected_version"], actual=actual)
        return book

    def _lock(self, conn: Connection, *ticket_ids: int) -> None:
        chosen = select(tickets.c.id, tickets.c.asset).where(tickets.c.id.in_(ticket_ids))
        found = {row.id: row.asset for row in conn.execute(chosen)}
        for ticket_id in ticket_ids:
            if ticket_id not in found:
                raise TicketNotFound(ticket_id)
        lock_assets(conn, found.values())


def _scores(ticket: Ticket, given: Given) -> str:
    """The reason that routing gives for the person it suggests."""
    chosen = ticket.suggestion
    return f"routing/{chosen.rule}" if chosen and given.person and given.person == chosen.person else ""


def _people(plant: Plant) -> frozenset[str]:
    return frozenset(person.id for person in plant.people)


def _photo_row(photo: Photo) -> Row:
    return {column.name: getattr(photo, column.name) for column in photos.columns}


def _shown(conn: Connection, ticket: Ticket, step: Step) -> list[str]:
    """The photos that tell what was done, oldest first: those of the round that ends."""
    if step is not Step.RESOLVE:
        return []
    taken = select(photos.c.sha256).where(photos.c.ticket == ticket.id, photos.c.cycle == ticket.reopen_count)
    return list(conn.execute(taken.order_by(photos.c.at_ns, photos.c.sha256)).scalars())


def _photos_of_this_round(conn: Connection, ticket: Ticket) -> int:
    taken = select(func.count()).where(photos.c.ticket == ticket.id, photos.c.cycle == ticket.reopen_count)
    return conn.execute(taken).scalar_one()
