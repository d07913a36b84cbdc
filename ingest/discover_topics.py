"""Topics that differ at one level and are alike behind it have one template: the level is a name there.

Two words at one place are alike if most of what follows one of them follows the other too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.discover_payloads import Shape

ALIKE = 0.5
_AREA = re.compile(
    r"(?i)(l|line|linie|hall|halle|area|zone|cell|zelle|shop|building|site|werk)[-_ ]?\w{0,3}$"
)
"""Names of places where machines stand: what comes again below them is a machine, not a measuring point."""
_ABOUT = re.compile(
    r"(?i)_?(alarms?|data|events?|faults?|info|json|live|measurements?|process|state|status|stops?|tags|telemetry|values?)"
)
"""What a message is about; a machine is not called so."""
Levels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Topics of one template: `pattern` has None where they differ, `members` are their levels in order."""

    separator: str
    pattern: tuple[str | None, ...]
    members: tuple[Levels, ...]
    shape: Shape

    @property
    def open(self) -> tuple[int, ...]:
        """The places where they differ."""
        return tuple(at for at, level in enumerate(self.pattern) if level is None)

    def topics(self) -> list[str]:
        """The topics themselves."""
        return [self.separator.join(levels) for levels in self.members]


def groups_of(shapes: Mapping[str, Shape]) -> list[Group]:
    """All topics in groups of one template and one form of payload, the largest first."""
    alike: dict[tuple[str, int, Shape], list[tuple[Levels, Shape]]] = {}
    for topic, shape in shapes.items():
        separator = "/" if "/" in topic or "." not in topic else "."
        levels = tuple(topic.split(separator))
        form = replace(shape, leaves=(), units=())
        alike.setdefault((separator, len(levels), form), []).append((levels, shape))
    found = []
    for (separator, _, _), members in alike.items():
        for pattern, its in _split(members, 0):
            shape = _together([one for _, one in its])
            found.append(Group(separator, pattern, tuple(sorted(levels for levels, _ in its)), shape))
    return sorted(found, key=lambda group: (-len(group.members), group.members))


def _split(
    members: Sequence[tuple[Levels, Shape]], at: int
) -> list[tuple[tuple[str | None, ...], list[tuple[Levels, Shape]]]]:
    """The members by pattern, from that level on."""
    if at == len(members[0][0]):
        return [((), list(members))]
    behind: dict[str, set[tuple[int, str]]] = {}
    for levels, shape in members:
        tails = behind.setdefault(levels[at], set())
        tails.update(enumerate(levels[at + 1 :]))
        tails.update((-1, leaf) for leaf in shape.leaves or ("",))
    clusters: list[tuple[set[str], set[tuple[int, str]]]] = []
    for word, tails in sorted(behind.items()):
        for words, known in clusters:
            if len(tails & known) >= ALIKE * min(len(tails), len(known)):
                words.add(word)
                known.update(tails)
                break
        else:
            clusters.append(({word}, set(tails)))
    found = []
    for words, _ in clusters:
        its = [member for member in members if member[0][at] in words]
        level = next(iter(words)) if len(words) == 1 else None
        found += [((level, *rest), inside) for rest, inside in _split(its, at + 1)]
    return found


def _together(shapes: Sequence[Shape]) -> Shape:
    leaves = tuple(dict.fromkeys(leaf for shape in shapes for leaf in shape.leaves))
    units = tuple(dict.fromkeys(unit for shape in shapes for unit in shape.units))
    return replace(shapes[0], leaves=leaves, units=units)


@dataclass(frozen=True, slots=True)
class Roles:
    """Which places of a template say what: indices of levels, None for what no level says."""

    asset: tuple[int, ...]
    point: int | None
    quantity: int | None


def roles_of(group: Group, known: frozenset[str]) -> Roles:
    """What each open level is for. `known` are the plant's assets.

    The last one names the quantity, unless the payload does; before it, names that come again below several parents
    are measuring points, and what is unique is the machine. Names that are never unique are joined to their parent.
    """
    named = group.shape.form == "number" or (bool(group.shape.value) and not group.shape.each)
    last = len(group.pattern) - 1
    quantity = last if named else None
    places = [at for at in group.open if at != quantity]
    sure = [at for at in places if any(levels[at] in known for levels in group.members)]
    if sure:
        after = [at for at in places if at > sure[-1]]
        return Roles((sure[-1],), after[-1] if after else None, quantity)
    if not places:
        return Roles(_alone(group, last if quantity is not None else last + 1, known), None, quantity)
    point = None
    again = len(places) > 1 and _comes_again(group, places[-2], places[-1])
    if again and not all(_AREA.match(levels[places[-2]]) for levels in group.members):
        point = places.pop()
    if len(places) > 1 and _comes_again(group, places[-2], places[-1]):
        return Roles((places[-2], places[-1]), point, quantity)
    return Roles((places[-1],), point, quantity)


def _alone(group: Group, end: int, known: frozenset[str]) -> tuple[int, ...]:
    """Which level names the machine of a topic that is like no other: a known one, else the last that is a name."""
    levels = group.members[0][:end]
    sure = [at for at, level in enumerate(levels) if level in known]
    names = [at for at, level in enumerate(levels) if not _ABOUT.fullmatch(level)]
    found = sure or names or range(len(levels))
    return (found[-1],) if found else ()


def _comes_again(group: Group, parent: int, child: int) -> bool:
    """Whether most names at `child` stand below more than one name at `parent`."""
    parents: dict[str, set[str]] = {}
    for levels in group.members:
        parents.setdefault(levels[child], set()).add(levels[parent])
    return sum(len(above) > 1 for above in parents.values()) * 2 >= len(parents)


def point_at(roles: Roles, levels: Levels) -> str:
    """The measuring point that a topic names: at its place, else by the levels between machine and quantity."""
    if roles.point is not None:
        return levels[roles.point]
    if roles.quantity is None or not roles.asset:
        return ""
    between = levels[roles.asset[-1] + 1 : roles.quantity]
    return "_".join(level for level in between if not level.startswith("_"))
