"""The alarms of a batch, between what is heard and its tickets: their states move here, and what is not told stops here."""

from andon.events import Action, Family, Finding, Priority
from andon.plant import Plant
from andon.rules.alarms import PRODUCTS_OWN, AlarmDefinition
from ticketing.alarm_rows import MUTABLE, Named, alarm_id, alarm_state, named, retold, row_of
from ticketing.alarms import Word, heard, set_aside
from ticketing.annunciation import Hold, end_of, hold_of, hovers, never_held
from ticketing.book import Book
from ticketing.dedup import Key
from ticketing.recall import Alarm as Spoken
from ticketing.recall import Known, source_of
from ticketing.suppressing import RULES, Suppressing
from ticketing.suppression import Subject, Suppression, SuppressionKind
from ticketing.ticket import FoldRule
from ticketing.urgency import priority_of


class Definitions:
    """Which definition of the master alarm database fits what is found, and how urgent that is."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._definitions = plant.alarms

    def of(self, finding: Finding) -> AlarmDefinition:
        """The first definition that fits, else the product's own."""
        if not self._definitions:
            return PRODUCTS_OWN
        asset = self._plant.asset(finding.asset)
        asset_class = asset.asset_class if asset else None
        fitting = (one for one in self._definitions if one.fits(finding, asset_class))
        return next(fitting, PRODUCTS_OWN)

    def priority(self, finding: Finding) -> Priority:
        """That of the definition, else what the plant or the severity says."""
        return self.of(finding).priority or priority_of(
            finding, self._plant.asset(finding.asset), self._plant.priorities
        )

    def subject(self, finding: Finding) -> Subject:
        """The finding's alarm as suppressions look at it."""
        asset = self._plant.asset(finding.asset)
        return Subject(
            asset=finding.asset,
            path=asset.path if asset else "",
            asset_class=asset.asset_class if asset else "",
            component=finding.component,
            condition=finding.condition,
            family=finding.family,
            priority=self.priority(finding),
            suppressible=self.of(finding).suppressible,
        )

    def subject_named(self, one: Named) -> Subject:
        """An alarm that is known as suppressions look at it."""
        asset = self._plant.asset(one.asset)
        return Subject(
            asset=one.asset,
            path=asset.path if asset else "",
            asset_class=asset.asset_class if asset else "",
            component=one.component,
            condition=one.condition,
            family=one.family,
            priority=one.priority,
            suppressible=all(each.suppressible for each in self._definitions if each.code == one.definition),
        )

    def path(self, asset: str) -> str:
        """Where a machine stands, by ISA-95."""
        found = self._plant.asset(asset)
        return found.path if found else ""

    def line(self, asset: str) -> str:
        """The line that a machine stands in."""
        found = self._plant.asset(asset)
        return found.line if found else ""


class AlarmLayer:
    """What a batch says of alarms, and what of it is held back."""

    def __init__(self, book: Book, known: Known, definitions: Definitions, suppressing: Suppressing) -> None:
        self._book = book
        self._known = known
        self._definitions = definitions
        self._suppressing = suppressing
        self._changed: set[str] = set()

    def hear(self, finding: Finding, key: Key, at_ns: int, *, open_ticket: bool, late: bool) -> Hold | None:
        """Move the alarm by one word; gives what holds the word back from ticketing, None if nothing does.

        A person's report is no alarm: nothing says when it is over, and nothing holds it back.
        """
        if finding.family is Family.REPORT:
            return None
        definition = self._definitions.of(finding)
        one = self._named(finding, key, definition)
        waits = None if late else _not_a_transition(definition, one, finding, at_ns)
        if waits is not None:
            return waits
        one = self._moved(one, definition, finding, at_ns)
        if finding.action is Action.CLEAR or late:
            return None
        return self._judge(one, definition, finding, at_ns, open_ticket=open_ticket)

    def over(self, finding: Finding, key: Key, at_ns: int) -> None:
        """The end that an off-delay had held back is one."""
        definition = self._definitions.of(finding)
        self._moved(self._named(finding, key, definition), definition, finding, at_ns)

    def is_told(self, finding: Finding, key: Key, at_ns: int) -> bool:
        """Whether people are to hear of it: while an alarm chatters once is enough."""
        one = self._known.named.get(alarm_id(key.hash, finding.detector))
        if one is None:
            return True
        if one.alarm.was_told_at(at_ns):
            return False
        self._known.named[one.id] = one.told(max(at_ns, one.alarm.told_ns or at_ns))
        self._changed.add(one.id)
        return True

    def takes_along(self, finding: Finding) -> bool:
        """Whether what is told now may bring earlier ones along that were held back."""
        definition = self._definitions.of(finding)
        return finding.action is Action.RAISE and (definition.count or definition.fleeting) is not None

    def ended_ns(self, finding: Finding, key: Key, at_ns: int) -> int | None:
        """When the activation of that time ended; None if it stands."""
        one = self._known.named.get(alarm_id(key.hash, finding.detector))
        spans = one.alarm.spans() if one else []
        return next((span.to_ns for span in reversed(spans) if span.from_ns <= at_ns), None)

    def finish(self) -> None:
        """Write the alarms that have moved."""
        for name in self._changed:
            self._book.upsert(alarm_state, row_of(self._known.named[name]), MUTABLE)

    def _judge(
        self, one: Named, definition: AlarmDefinition, finding: Finding, at_ns: int, *, open_ticket: bool
    ) -> Hold | None:
        """What keeps it from being told: first what people decided, then what its definition asks for."""
        if one.alarm.out_of_service is not None:
            return Hold(FoldRule.SUPPRESSED_OOSRV)
        by = self._suppressing.held(finding, self._definitions.subject, at_ns)
        if by is not None:
            self._set_aside(one, by)
            return Hold(RULES[by.kind], None, {"suppression": float(by.id)})
        if not definition.holds_back or never_held(finding, one.priority):
            return None
        return hold_of(definition, one.alarm, at_ns, at_ns, open_ticket=open_ticket)

    def _named(self, finding: Finding, key: Key, definition: AlarmDefinition) -> Named:
        """The alarm as it is known, under the names that this word gives it."""
        new = named(
            finding,
            key,
            line=self._definitions.line(finding.asset),
            definition=definition.code,
            priority=self._definitions.priority(finding),
        )
        old = self._known.named.get(new.id)
        one = new if old is None else retold(old, new, finding)
        self._known.named[new.id] = one
        return one

    def _moved(self, one: Named, definition: AlarmDefinition, finding: Finding, at_ns: int) -> Named:
        over = finding.action is Action.CLEAR
        source = source_of(finding)
        spoken = self._known.alarms.get((one.key, source), Spoken())
        word = Word(at_ns, over, source.removeprefix(one.detector))
        stands = spoken.after(at_ns, over=over).stands
        severity = 0 if over else finding.severity
        after = heard(one.alarm, word, stands=stands, severity=severity, rule=definition.chattering)
        self._changed.add(one.id)
        moved = one.with_alarm(after)
        self._known.named[one.id] = moved
        if after.active and not one.alarm.active:
            self._suppressing.raised(self._definitions.subject(finding), at_ns, one.id)
        elif one.alarm.active and not after.active:
            self._suppressing.cleared(self._definitions.subject(finding), one.id)
        return moved

    def _set_aside(self, one: Named, by: Suppression) -> None:
        """What is held back from now on says so."""
        shelf = by.kind is SuppressionKind.SHELVE
        until_ns = by.ends_ns if shelf else one.alarm.shelved_until_ns
        others = one.alarm.suppressed_by | (set() if shelf else {by.name})
        self._known.named[one.id] = one.with_alarm(set_aside(one.alarm, until_ns, others, self._book.now_ns))


def _not_a_transition(definition: AlarmDefinition, one: Named, finding: Finding, at_ns: int) -> Hold | None:
    if finding.action is not Action.CLEAR:
        return None if never_held(finding, one.priority) else hovers(definition, one.alarm, finding, at_ns)
    return end_of(definition, one.alarm, at_ns, at_ns) if definition.off_delay_s else None
