"""What people and machines do to tickets: each deed one transaction, refused with what is missing, and on record."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

from sqlalchemy import Connection, Engine

from andon.database import reading, writing
from andon.events import Finding
from andon.plant import Plant
from ticketing import intake, moving
from ticketing.approvals import lapse
from ticketing.approving import requests
from ticketing.book import BUS, Book
from ticketing.causes import causes_of
from ticketing.closing import after_closing, after_resolving, scene_tags_of
from ticketing.demands import Given, SignedBy, Ticks, signer_of
from ticketing.dispatch import Dispatch
from ticketing.errors import Missing, NoEdge, PhotoRefused, StepRefused
from ticketing.outcomes import repaired
from ticketing.photo_quota import check_quota
from ticketing.photos import MIME, keep, picture_of
from ticketing.safety import signoff
from ticketing.signing import try_code
from ticketing.sql import Row
from ticketing.states import OUTCOMES, Step, again, handed_over, next_steps
from ticketing.stepping import (
    CONSOLE,
    SIGNATURE,
    as_duplicate,
    entitled,
    give_up,
    lock,
    look,
    take,
)
from ticketing.tables import photo as photos
from ticketing.ticket import UNRESOLVED, Closure, Outcome, Photo, SubState, Ticket


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
    plant: Plant
    outcome: NotRequired[Outcome | None]


Known = Callable[[Connection, Ticket, Given], Given]
"""What was given with a step, with what the plant and the store know of its ticket."""


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
        return self.step(
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
        return self.step(
            ticket_id,
            Step.TRANSFER,
            given,
            by,
            lambda t: handed_over(t, person, backup, by["now_ns"]),
            tell=lambda t: (t.assignee, t.backup),
        )

    def decline(self, ticket_id: int, *, reason: str, evidence: Sequence[str], **by: Unpack[By]) -> Ticket:
        """The assignee does not take it: back to dispatch, counted as a claim missed."""
        return self.step(
            ticket_id,
            Step.DECLINE,
            Given(reason=reason, evidence=tuple(evidence)),
            by,
            lambda t: replace(t, assignee=None, backup=None, claim_misses=t.claim_misses + 1),
            tell=lambda _: ("dispatch",),
        )

    def accept(
        self, ticket_id: int, *, sub_state: SubState, plant: Plant | None = None, **by: Unpack[By]
    ) -> Ticket:
        """The assignee takes it and says how it begins; the plant document says what has to be signed before."""
        return self.step(
            ticket_id,
            Step.ACCEPT,
            Given(sub_state=sub_state),
            by,
            lambda t: replace(t, sub_state=sub_state, accepted_ns=by["now_ns"]),
            tell=lambda t: (t.requester,),
            known=safe(plant),
        )

    def substate(
        self,
        ticket_id: int,
        *,
        sub_state: SubState,
        reason: str,
        evidence: Sequence[str] = (),
        plant: Plant | None = None,
        **by: Unpack[By],
    ) -> Ticket:
        """Say what the work is at now; waiting for parts shows its requisitions as evidence by itself."""
        given = Given(sub_state=sub_state, reason=reason, evidence=tuple(evidence))
        return self.step(
            ticket_id,
            Step.SUBSTATE,
            given,
            by,
            lambda t: replace(t, sub_state=sub_state),
            known=safe(plant),
        )

    def resolve(
        self,
        ticket_id: int,
        *,
        summary: str,
        cause: str | None,
        same_kind: bool | None,
        plant: Plant,
        scene_tag: str | None = None,
        **by: Unpack[By],
    ) -> Ticket:
        """The work is done: a photo of this round, a summary, one of the site's causes, "same kind elsewhere?"."""
        given = Given(
            summary=summary,
            cause=cause,
            causes=causes_of(plant),
            same_kind=same_kind,
            types=plant.ticket_types,
            scene_tag=scene_tag,
            scene_tags=scene_tags_of(plant),
        )
        return self.step(
            ticket_id,
            Step.RESOLVE,
            given,
            by,
            lambda t: replace(
                t,
                sub_state=None,
                hold=None,
                summary=summary.strip(),
                cause=cause,
                same_kind=same_kind,
                scene_tag=scene_tag or t.scene_tag,
                handler=by["actor"],
                resolved_ns=by["now_ns"],
            ),
            then=lambda book, t: after_resolving(book, t, plant),
            known=lambda conn, t, g: replace(
                g,
                unsigned=signoff.lacking(conn, plant, t),
                unended=signoff.lacking(conn, plant, t, "end"),
                levels=requests.lacking(conn, plant, t),
            ),
            tell=lambda t: (t.requester or "dispatch",),
        )

    def sign(
        self,
        ticket_id: int,
        *,
        ticks: Ticks,
        plant: Plant,
        signed_by: SignedBy = SignedBy.LOGIN,
        signer: str = "",
        code: str = "",
        **by: Unpack[By],
    ) -> Ticket:
        """The second signature: three ticks of someone other than the handler, known by login, by hand or by phone.

        `signer` is the name of who drew a signature; `code` what was sent to the requester's phone.
        """
        why_not = self._try_code(ticket_id, code, by) if signed_by is SignedBy.SMS else None
        given = Given(ticks=ticks, signed_by=signed_by, signer=signer.strip(), code_refused=why_not)
        return self.step(
            ticket_id,
            Step.SIGN,
            given,
            by,
            lambda t: replace(
                t,
                signer=signer_of(t, replace(given, actor=by["actor"])),
                signed_by=str(signed_by),
                closure=Closure.SIGNED,
                outcome=repaired(t),
                closed_ns=by["now_ns"],
            ),
            then=lambda book, t: after_closing(book, t, plant),
            tell=lambda t: (t.assignee,),
        )

    def _try_code(self, ticket_id: int, code: str, by: By) -> str | None:
        """Whether it is the code that was sent; a transaction of its own, so that a wrong try stays counted."""
        with self.transaction(by["now_ns"]) as book:
            return try_code(book, look(book, by["expected_version"], ticket_id), code)

    def reject(self, ticket_id: int, *, reason: str, evidence: Sequence[str], **by: Unpack[By]) -> Ticket:
        """The signature is refused: the work goes on; no repeat failure of the machine."""
        return self.step(
            ticket_id,
            Step.REJECT,
            Given(reason=reason, evidence=tuple(evidence)),
            by,
            lambda t: again(t, t.state),
            tell=lambda t: (t.assignee, t.backup),
        )

    def close_unsigned(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """A supervisor closes what nobody signs; it stays marked as not confirmed."""
        return self._give_up(ticket_id, Step.CLOSE_UNSIGNED, why)

    def cancel(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """Nothing needs to be done."""
        return self._give_up(ticket_id, Step.CANCEL, why)

    def false_alarm(self, ticket_id: int, **why: Unpack[GivenUp]) -> Ticket:
        """There was no fault; an RCA that rests on it is flagged for review."""
        return self._give_up(ticket_id, Step.FALSE_ALARM, why)

    def relearn(self, ticket_id: int, *, note: str = "", **by: Unpack[By]) -> Ticket:
        """Accept what the closure proposes: what was done is declared, and the baseline learned anew."""
        return self.step(ticket_id, Step.RELEARN, Given(reason=note), by, lambda t: replace(t, relearn=True))

    def keep_baseline(self, ticket_id: int, *, reason: str, **by: Unpack[By]) -> Ticket:
        """Decline what the closure proposes: the component goes on being judged by what was learned before."""
        given = Given(reason=reason)
        return self.step(ticket_id, Step.KEEP_BASELINE, given, by, lambda t: replace(t, relearn=False))

    def duplicate(self, ticket_id: int, *, of: int, **why: Unpack[GivenUp]) -> Ticket:
        """Merge it into another ticket that is worked on, which takes over its keys and occurrences; gives the closed one."""
        with self.transaction(why["now_ns"]) as book:
            ticket = look(book, why["expected_version"], ticket_id, of)
            closed = as_duplicate(book, ticket, of, _giving_up(why), channel=why.get("channel", CONSOLE))
            lapse(book, closed)
        return closed

    def split(self, ticket_id: int, *, key: str, plant: Plant, reason: str, **by: Unpack[By]) -> Ticket:
        """Take one cause off a ticket for good, into a ticket of its own; gives the new one."""
        with self.transaction(by["now_ns"]) as book:
            ticket = look(book, by["expected_version"], ticket_id)
            if ticket.state not in UNRESOLVED:
                raise NoEdge(ticket.state, "split", tuple(next_steps(ticket, Given())))
            if not reason.strip():
                raise StepRefused("split", ticket.state, [Missing("reason")])
            dispatch = Dispatch(book, plant)
            _, new = moving.split(
                book,
                ticket,
                key,
                route=dispatch.decide,
                reason=reason,
                actor=by["actor"],
                channel=by.get("channel", CONSOLE),
            )
            return dispatch.send(new)

    def reopen(
        self, ticket_id: int, *, reason: str, evidence: Sequence[str], plant: Plant, **by: Unpack[By]
    ) -> Ticket:
        """A closed ticket goes on: soon after closing for anybody, later for an administrator.

        KeyTaken if another one is open for its cause.
        """
        given = Given(
            reason=reason,
            evidence=tuple(evidence),
            administrators=entitled(plant, plant.closing.administrators),
            reopen_within_min=plant.closing.reopen_within_min,
        )
        return self.step(
            ticket_id,
            Step.REOPEN,
            given,
            by,
            lambda t: again(t, t.state),
            tell=lambda t: (t.assignee or "dispatch", t.backup),
        )

    def comment(
        self, ticket_id: int, *, text: str, actor: str, now_ns: int, channel: str = CONSOLE
    ) -> Ticket:
        """Put a remark on record."""
        with self.transaction(now_ns) as book:
            lock(book.conn, ticket_id)
            ticket = book.ticket(ticket_id)
            if not text.strip():
                raise StepRefused("comment", ticket.state, [Missing("text")])
            return book.record(ticket, action="comment", actor=actor, channel=channel, reason=text.strip())

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
        """Keep a photo of the work; PhotoRefused if the bytes do not decode as one, or it is one too many."""
        if self._photos is None:
            raise PhotoRefused("photo_no_folder", "no folder for photos is configured")
        with self.looking() as conn:
            check_quota(conn, ticket_id, stage=stage, actor=actor, now_ns=now_ns)
        picture = picture_of(body)
        if stage == SIGNATURE and picture.blank:
            raise PhotoRefused("signature_blank", "nothing is drawn in the signature")
        keep(picture, self._photos)  # before the row: a row never names bytes that are not there
        with self.transaction(now_ns) as book:
            lock(book.conn, ticket_id)
            ticket = book.ticket(ticket_id)
            check_quota(book.conn, ticket_id, stage=stage, actor=actor, now_ns=now_ns)  # two may come at once
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
            action = SIGNATURE if stage == SIGNATURE else "photo"
            book.record(ticket, action=action, actor=actor, channel=channel, evidence=(kept.sha256,))
        return kept

    def _give_up(self, ticket_id: int, step: Step, why: GivenUp) -> Ticket:
        with self.transaction(why["now_ns"]) as book:
            ticket = look(book, why["expected_version"], ticket_id)
            outcome = why.get("outcome", OUTCOMES[step][0]) if step in OUTCOMES else None
            channel = why.get("channel", CONSOLE)
            closed = give_up(book, ticket, step, _giving_up(why), outcome, channel=channel)
            lapse(book, closed)
            after_closing(book, closed, why["plant"])
        return closed

    def step(
        self,
        ticket_id: int,
        step: Step,
        given: Given,
        by: By,
        change: Callable[[Ticket], Ticket],
        *,
        tell: Callable[[Ticket], Iterable[str | None]] = lambda _: (),
        then: Callable[[Book, Ticket], None] = lambda _, __: None,
        known: Known = lambda _conn, _ticket, given: given,
    ) -> Ticket:
        """Lock, look, take the step, and do what follows from it: the way of every step."""
        with self.transaction(by["now_ns"]) as book:
            before = look(book, by["expected_version"], ticket_id)
            given = known(book.conn, before, replace(given, actor=by["actor"]))
            after = take(book, before, step, given, change, channel=by.get("channel", CONSOLE), tell=tell)
            lapse(book, after)
            then(book, after)
        return after


def safe(plant: Plant | None) -> Known:
    """With the safety checklists that have to be signed before hands are laid on the machine."""

    def known(conn: Connection, ticket: Ticket, given: Given) -> Given:
        if plant is None:
            return given
        return replace(given, unsigned=signoff.lacking(conn, plant, ticket))

    return known


def _giving_up(why: GivenUp) -> Given:
    return Given(
        actor=why["actor"],
        reason=why["reason"],
        approver=why["approver"],
        approvers=entitled(why["plant"], why["plant"].closing.approvers),
    )


def _people(plant: Plant) -> frozenset[str]:
    return frozenset(person.id for person in plant.people)


def _photo_row(photo: Photo) -> Row:
    return {column.name: getattr(photo, column.name) for column in photos.columns}
