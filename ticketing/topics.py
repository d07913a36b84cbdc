"""The catalogue of the bus: every topic with its version and the schema of what it says. Nothing else is ever sent.

A subscription names topics of this table, or a beginning of them that ends in `.*`; an unknown one is refused with
the nearest that there is, so that nobody listens to a topic that no one speaks on.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from andon.events import Json, Number


class Said(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every message says about its ticket: where it stands, what is wrong, who is named."""

    number: str
    asset: str
    line: str
    priority: str
    state: str
    family: str
    component: str
    condition: str
    numbers: list[Number]
    text: dict[str, str]
    assignee: str | None
    backup: str | None
    people: list[str]
    plant: str
    site: str
    area: str
    asset_name: str
    asset_name_zh: str


class ByFinding(Said, kw_only=True):
    """A machine said it: `finding` is the id of what was found."""

    finding: str


class ByPerson(Said, kw_only=True):
    """A person did it, and said why."""

    actor: str
    reason: str
    photos: list[str] = []
    """SHA-256 of the photos that show what was done; `GET /api/v1/photos/{sha256}` gives one."""


class OfCosts(Said, kw_only=True):
    """An amount and the level whose turn it is, or that spoke: `cents` of the `currency`, of the cost `request`."""

    actor: str
    reason: str
    request: int
    level: str
    cents: int
    currency: str


class ByRouting(Said, kw_only=True):
    """Routing names someone: by which rule, and for how many seconds it is offered to those named, if it is."""

    rule: str
    offer_s: float | None


class Escalated(Said, kw_only=True):
    """It needs more attention: by what was heard since (`finding`), or because a limit has passed (all the others).

    `clock` is which, `policy` by which rule, `due` when it was to be done, `taken_s` how much of the clock's own time
    has gone by; `channel` is what the policy means it for.
    """

    finding: str = ""
    clock: str = ""
    policy: str = ""
    due: str = ""
    limit_s: float = 0.0
    taken_s: float = 0.0
    channel: str = ""


class ByClock(Said, kw_only=True):
    """A limit comes near or has passed: which clock, by which policy, when it was due, how much of it has gone by.

    `channel` is what the policy means it for; empty: any.
    """

    clock: str
    policy: str
    due: str
    limit_s: float
    taken_s: float
    channel: str


class OfFlood(Said, kw_only=True):
    """A flood goes on or is over: the tickets that came under it since it was told last, and how many alarms stand behind."""

    children: list[str]
    alarms: int
    over: bool


class ShelfEnds(Said, kw_only=True):
    """What keeps the ticket's alarm quiet ends soon: which suppression, when, and why it was begun."""

    suppression: int
    ends_ns: int
    reason: str


class WithCode(Said, kw_only=True):
    """A code for the requester's phone, good for a signature; nobody else is to have it."""

    code: str


class ByDrift(Said, kw_only=True):
    """It is on the day's drift list: how often in a row it was not accepted, by whom, and when an update was due."""

    misses: int
    missed_by: list[str]
    update_due: str


class OfProblem(Said, kw_only=True):
    """A root-cause task was opened beside the ticket: its number, and the numbers of the repetition."""

    problem: str
    repeat: dict[str, float]


class ProblemNews(Said, kw_only=True):
    """A root-cause or improvement task moved: who did what; `number` is the ticket that it was last about."""

    problem: str
    problem_kind: str
    problem_state: str
    due_ns: int
    action: str
    actor: str
    reason: str


class QualityNews(Said, kw_only=True):
    """Quality work that goes back to the ticket: its own number, the machine, batch or supplier, what to do until when."""

    task: str
    about: str
    due_ns: int
    action: str
    actor: str
    reason: str


class CausesUnknown(Said, kw_only=True):
    """Too many tickets of a month name no root cause: so many of so many."""

    period: str
    share: float
    unknown: int
    causes: int


class MetricActs(Said, kw_only=True):
    """A metric of a month is beyond its bound: which, by which rule, its value in its unit, and of how many tickets."""

    metric: str
    rule: str
    period: str
    value: float
    tickets: int
    of: int


class PartLow(Said, kw_only=True):
    """A part fell below its safety stock: what is left, in its unit. The ticket is the last that took of it."""

    part: str
    part_name: str
    part_name_zh: str
    unit: str
    on_hand: float
    min_stock: float


class TicketStands(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a ticket stands, for a partner that keeps its state too: the highest `version` it was told is true.

    `word` is the partner's own for `state`, `fields` what its mapping asks for, `origin` its own event that led here.
    """

    plant: str
    number: str
    version: int
    state: str
    word: str
    sub_state: str
    hold: str
    closure: str
    type: str
    priority: str
    asset: str
    asset_name: str
    asset_name_zh: str
    line: str
    assignee: str
    changed: str
    origin: str
    people: list[str]
    fields: dict[str, Json]


class StockMoved(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A part that was issued to a ticket or came back, for the master of the stock: it comes behind the movement `after`."""

    plant: str
    number: str
    movement: int
    after: int
    kind: str
    part: str
    lot: str
    quantity: float
    asset: str
    at: str
    people: list[str]


class Digest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Several messages in one: the CloudEvents that it stands for, and the tickets that they are about."""

    plant: str
    tickets: list[str]
    events: list[dict[str, Json]]


class Canary(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Proof that a message would arrive. No ticket, no work: whoever receives it throws it away."""

    plant: str
    canary: bool
    channel: str


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the catalogue: `kind` is what ticketing calls it, `name` what the world does, with its version."""

    kind: str
    name: str
    data: type[msgspec.Struct]
    secret: bool = False
    """Only who names the topic itself hears it, not a beginning of it; it never waits, and is not shown."""

    @property
    def schema(self) -> dict[str, Json]:
        """The JSON Schema of its `data`."""
        return msgspec.json.schema(self.data)


DIGEST, CANARY = "digest", "canary"
TOPICS: Sequence[Topic] = (
    Topic("ticket.opened", "andon.ticket.opened.v1", ByFinding),
    Topic("ticket.escalated", "andon.ticket.escalated.v1", Escalated),
    Topic("ticket.reminded", "andon.ticket.signoff-reminded.v1", ByClock),
    Topic("ticket.drifting", "andon.ticket.drifting.v1", ByDrift),
    Topic("ticket.reopened", "andon.ticket.failed-again.v1", ByFinding),
    Topic("ticket.assign", "andon.ticket.assigned.v1", ByPerson),
    Topic("ticket.routed", "andon.ticket.routed.v1", ByRouting),
    Topic("ticket.offered", "andon.ticket.offered.v1", ByRouting),
    Topic("ticket.offer_withdrawn", "andon.ticket.offer-withdrawn.v1", ByRouting),
    Topic("ticket.unclaimed", "andon.ticket.unclaimed.v1", ByRouting),
    Topic("ticket.collaborator", "andon.ticket.collaborator-changed.v1", ByPerson),
    Topic("ticket.edited", "andon.ticket.edited.v1", ByPerson),
    Topic("ticket.transfer", "andon.ticket.transferred.v1", ByPerson),
    Topic("ticket.decline", "andon.ticket.declined.v1", ByPerson),
    Topic("ticket.accept", "andon.ticket.accepted.v1", ByPerson),
    Topic("ticket.depart", "andon.ticket.departed.v1", ByPerson),
    Topic("ticket.arrive", "andon.ticket.arrived.v1", ByPerson),
    Topic("ticket.substate", "andon.ticket.progressed.v1", ByPerson),
    Topic("ticket.requisition", "andon.ticket.parts-asked.v1", ByPerson),
    Topic("ticket.parts_issued", "andon.ticket.parts-issued.v1", ByPerson),
    Topic("ticket.parts_returned", "andon.ticket.parts-returned.v1", ByPerson),
    Topic("part.low", "andon.part.low.v1", PartLow),
    Topic("ticket.hold", "andon.ticket.held.v1", ByPerson),
    Topic("ticket.resume", "andon.ticket.resumed.v1", ByPerson),
    Topic("ticket.resolve", "andon.ticket.resolved.v1", ByPerson),
    Topic("ticket.sign_code", "andon.ticket.sign-code.v1", WithCode, secret=True),
    Topic("ticket.sign", "andon.ticket.signed.v1", ByPerson),
    Topic("ticket.reject", "andon.ticket.rejected.v1", ByPerson),
    Topic("ticket.close_unsigned", "andon.ticket.closed-unsigned.v1", ByPerson),
    Topic("ticket.cancel", "andon.ticket.cancelled.v1", ByPerson),
    Topic("ticket.false_alarm", "andon.ticket.found-false.v1", ByPerson),
    Topic("ticket.approval_asked", "andon.ticket.approval-asked.v1", ByPerson),
    Topic("ticket.approval_refused", "andon.ticket.approval-refused.v1", ByPerson),
    Topic("ticket.cost_asked", "andon.ticket.cost-asked.v1", OfCosts),
    Topic("ticket.cost_granted", "andon.ticket.cost-granted.v1", OfCosts),
    Topic("ticket.cost_refused", "andon.ticket.cost-refused.v1", OfCosts),
    Topic("ticket.cost_waits", "andon.ticket.cost-waits.v1", OfCosts),
    Topic("ticket.rating", "andon.ticket.rated.v1", ByPerson),
    Topic("ticket.enquiry", "andon.ticket.enquired.v1", ByPerson),
    Topic("ticket.unacknowledged", "andon.ticket.unacknowledged.v1", ByPerson),
    Topic("ticket.obligation", "andon.ticket.obligation-due.v1", ByPerson),
    Topic("ticket.obligation_overdue", "andon.ticket.obligation-overdue.v1", ByPerson),
    Topic("ticket.plan_overdue", "andon.ticket.plan-overdue.v1", ByPerson),
    Topic("ticket.archive", "andon.ticket.archived.v1", ByPerson),
    Topic("ticket.reopen", "andon.ticket.reopened.v1", ByPerson),
    Topic("ticket.relearn", "andon.ticket.relearning-accepted.v1", ByPerson),
    Topic("ticket.keep_baseline", "andon.ticket.baseline-kept.v1", ByPerson),
    Topic("ticket.duplicate", "andon.ticket.merged.v1", ByPerson),
    Topic("ticket.split", "andon.ticket.split.v1", ByPerson),
    Topic("ticket.unmerged", "andon.ticket.unmerged.v1", ByPerson),
    Topic("ticket.flood", "andon.ticket.flood.v1", OfFlood),
    Topic("ticket.shelf_ends", "andon.ticket.shelf-ending.v1", ShelfEnds),
    Topic("problem.opened", "andon.problem.opened.v1", OfProblem),
    Topic("problem.assigned", "andon.problem.assigned.v1", ProblemNews),
    Topic("problem.due", "andon.problem.due.v1", ProblemNews),
    Topic("problem.overdue", "andon.problem.overdue.v1", ProblemNews),
    Topic("problem.check", "andon.problem.check-due.v1", ProblemNews),
    Topic("problem.effective", "andon.problem.effective.v1", ProblemNews),
    Topic("problem.ineffective", "andon.problem.ineffective.v1", ProblemNews),
    Topic("action.given", "andon.action.given.v1", ProblemNews),
    Topic("action.due", "andon.action.due.v1", ProblemNews),
    Topic("action.overdue", "andon.action.overdue.v1", ProblemNews),
    Topic("improvement.opened", "andon.improvement.opened.v1", ProblemNews),
    Topic("ticket.state", "andon.ticket.state.v1", TicketStands),
    Topic("stock.moved", "andon.stock.moved.v1", StockMoved),
    Topic("causes.unknown", "andon.causes.unknown.v1", CausesUnknown),
    Topic("metric.action", "andon.metric.action.v1", MetricActs),
    Topic("investigation.opened", "andon.investigation.opened.v1", ProblemNews),
    Topic("sister.given", "andon.sister-task.given.v1", QualityNews),
    Topic("sister.overdue", "andon.sister-task.overdue.v1", QualityNews),
    Topic("batch.asked", "andon.batch.decision-asked.v1", QualityNews),
    Topic("batch.decided", "andon.batch.decided.v1", QualityNews),
    Topic("audit.given", "andon.supplier-audit.given.v1", QualityNews),
    Topic("audit.overdue", "andon.supplier-audit.overdue.v1", QualityNews),
    Topic(DIGEST, "andon.digest.v1", Digest),
    Topic(CANARY, "andon.canary.v1", Canary),
)
OF_KIND: Mapping[str, Topic] = {topic.kind: topic for topic in TOPICS}
TO_PARTNERS = frozenset({"ticket.state", "stock.moved"})
"""What systems are told that keep tickets or stock too; people are not."""
_TYPES = tuple(topic.name for topic in TOPICS if topic.kind not in {DIGEST, CANARY} | TO_PARTNERS)
_SECRET = frozenset(topic.name for topic in TOPICS if topic.secret)
"""What can be subscribed to: a digest stands for what was, canaries are switched on or off per channel, partners are told."""


class UnknownTopic(ValueError):
    """No topic of the catalogue is called that; the text names the nearest."""


@cache
def types_of(wanted: str) -> frozenset[str]:
    """The topics that a word of a subscription stands for; UnknownTopic if there are none.

    >>> sorted(types_of("andon.improvement.*"))
    ['andon.improvement.opened.v1']
    >>> types_of("andon.ticket.assign.v1")
    Traceback (most recent call last):
    ticketing.topics.UnknownTopic: there is no topic 'andon.ticket.assign.v1'; did you mean 'andon.ticket.assigned.v1'?
    """
    start = wanted.removesuffix("*")
    found = {name for name in _TYPES if wanted.endswith(".*") and name.startswith(start)} - _SECRET
    found |= {name for name in _TYPES if name == wanted}
    if not found:
        near = difflib.get_close_matches(wanted, _TYPES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "see: andon outbox topics"
        raise UnknownTopic(f"there is no topic {wanted!r}; {hint}")
    return frozenset(found)
