"""What findings, folds, suggestions and refusals say, as whole sentences with their numbers."""

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from andon.events import Number
from andon.plant import Asset, Plant
from andon.rules.approvals import Level
from andon.rules.safety import Checklist
from api.catalogue import Words
from api.web.charts import quantity_name, term
from api.web.formats import MISSING, PlantTime, number, quantity, whole
from detectors.flaws import FLAWS
from ticketing.errors import Missing
from ticketing.ticket import Candidate, Fold, Headline, Suggestion

_COUNTS = frozenset({"harmonics", "severity", "spikes"})
_ROUGH = frozenset({"one_in"})
"""Chances: one digit says all that they know."""
_NAMES_A_LIMIT = frozenset({"velocity_rms"})
"""Numbers whose limit comes from a standard or the plant; the others' are the detector's own."""
_CHANNELS = frozenset({"channel", "channels"})
"""Texts that are channels, to be said in words."""

_MACHINE = "machine"
"""What stands for the whole machine where else the reason of a stop does."""

_TERMED = frozenset({"line", "state"})
"""Texts with a word of ours among figures and units."""

_MORE = (
    ("impulsive_low_hz", "finding.impulsive_band"),
    ("better_bearings", "finding.better_bearings"),
    ("reached_low_s", "finding.reached"),
)
"""What is said after the sentence, where the finding has something to fill it."""
_FOLD_NUMBERS = {"apart_s": MISSING, "since_s": MISSING, "late_s": MISSING}


def condition_name(condition: str, words: Words) -> str:
    """A condition in two or three words; its code where the catalogue does not know it."""
    key = f"finding.{condition}.name"
    return words(key) if key in words else condition


def verdict(headline: Headline, words: Words, time: PlantTime) -> Markup:
    """What is wrong, in one sentence with the numbers that crossed."""
    arguments = finding_arguments(headline.numbers, headline.text, time)
    if "message" in arguments:
        arguments["message"] = message_in(arguments, words)
    arguments["point"] = component_name(arguments.get("point", headline.component), words)
    for name in _CHANNELS & arguments.keys():
        named = (quantity_name(channel, words) for channel in arguments[name].split(", "))
        arguments[name] = words("list.channels").join(named)
    if arguments.get("reason") == _MACHINE:
        arguments["reason"] = words("place.machine")
    for name in _TERMED & arguments.keys():
        arguments[name] = term(arguments[name], words)
    if (flaw := FLAWS.get(arguments.get("flaw", ""))) is not None:
        arguments["flaw"] = flaw.zh if words.language == "zh" else flaw.en
    key = f"finding.{headline.condition}.verdict"
    try:
        more = [key for needs, key in _MORE if needs in arguments]
        return Markup(" ").join(words.html(one, **arguments) for one in (key, *more))
    except KeyError:  # a detector that came later, or numbers it did not send: its name says it
        return escape(condition_name(headline.condition, words))


def message_in(text: Mapping[str, str], words: Words) -> str:
    """What was said, in the reader's language if it was said in that too."""
    return text.get(f"message_{words.language}") or text.get("message", "")


def finding_arguments(numbers: Sequence[Number], text: Mapping[str, str], time: PlantTime) -> dict[str, str]:
    """The numbers of a finding by name, with `<name>_limit`, as they read; and its texts."""
    arguments = dict(text)
    for one in numbers:
        if one.name.endswith("_s"):
            arguments[one.name] = time.span(round(one.value))
        elif one.name in _ROUGH:
            arguments[one.name] = number(float(f"{one.value:.1g}"))
        elif one.name in _COUNTS:
            arguments[one.name] = whole(round(one.value))
        else:
            arguments[one.name] = quantity(one.value, _plain_unit(one.unit))
        if one.limit is not None:
            arguments[f"{one.name}_limit"] = quantity(one.limit, _plain_unit(one.unit))
    return arguments


def _plain_unit(unit: str) -> str:
    """What a ratio is a multiple of, or a number a count in, the sentence says in its own words."""
    return "" if unit.startswith(("×", "1/")) else unit


def limit_sources(numbers: Sequence[Number], words: Words) -> list[str]:
    """Where the limits come from: a standard, or the plant."""
    sources = dict.fromkeys(
        one.limit_source for one in numbers if one.limit_source and one.name in _NAMES_A_LIMIT
    )
    return [words("ticket.limit_from", source=source) for source in sources]


def fold_sentence(fold: Fold, words: Words, time: PlantTime) -> str:
    """Why a finding lies on the ticket it lies on."""
    arguments = {name: time.span(abs(value)) for name, value in fold.numbers.items() if name.endswith("_s")}
    return words(f"fold.{fold.rule}", **{**_FOLD_NUMBERS, **arguments})


def skills_text(skills: Iterable[Iterable[str]]) -> str:
    """What is asked for: groups of which each has to be met, by one of its tags.

    >>> skills_text([("hydraulics", "液压方向"), ("hot work",)])
    'hydraulics / 液压方向, hot work'
    """
    return ", ".join(" / ".join(group) for group in skills)


def why_this_person(suggestion: Suggestion, candidate: Candidate, words: Words) -> list[str]:
    """What speaks for the person whom routing names, and what against: skill, line, load."""
    reasons = []
    if suggestion.skills and "skill" not in candidate.misses:
        reasons.append(words("routing.has_skill", skill=skills_text(suggestion.skills)))
    reasons += [words(f"routing.miss_{miss}") for miss in candidate.misses]
    if "other_line" not in candidate.misses:
        reasons.append(words("routing.on_line"))
    reasons.append(words("routing.load", n=candidate.load, most=candidate.max_load))
    return reasons


_NAMED = frozenset({"approvals", "safety", "safety_end"})
"""Demands that say what of the plant they lack, by its codes."""


def demand_sentence(missing: Missing, words: Words, plant: Plant | None = None) -> str:
    """What a step still needs, or what is wrong with what was given; the plant has the names of levels and checklists."""
    if missing.demand in _NAMED and plant is not None and missing.why != "absent":
        known: tuple[Level | Checklist, ...] = (*plant.approvals.levels, *plant.safety.checklists)
        named = {one.code: one for one in known}
        names = [
            str(getattr(named.get(code), words.language, code.replace("_", " ")))
            for code in missing.why.split(",")
        ]
        return words(f"demand.{missing.demand}_of", names=", ".join(names))
    particular = f"demand.{missing.demand}_{missing.why}"
    return words(particular if particular in words else f"demand.{missing.demand}")


def rule_name(name: str, plant: Plant, words: Words) -> str:
    """A rule, policy or routing as people call it: ours in words, one of the plant's as the plant wrote it."""
    if f"rule.{name}" in words:
        return words(f"rule.{name}")
    entry = plant.ticket_type(name) or plant.fault_type(name)
    return getattr(entry, words.language) if entry else name.replace("_", " ")


def component_name(component: str, words: Words) -> str:
    """A component as people call it; the plant's own name where the catalogue does not know it."""
    key = f"component.{component}"
    return words(key) if key in words else component.replace("_", " ")


def asset_name(asset: Asset | None, asset_id: str, words: Words) -> str:
    """The machine's name in the reader's language, its id where it has none."""
    if asset is None:
        return asset_id
    return asset.name_zh if words.language == "zh" and asset.name_zh else asset.name or asset.id


PARTNER = "partner/"
"""So begins who acts where a partner system names nobody."""


def person_name(person_id: str | None, plant: Plant) -> str:
    """The name of a person or a partner system, the id of one who has left, a dash for nobody."""
    if not person_id:
        return MISSING
    if person_id.startswith(PARTNER):
        system = plant.partner(person_id.removeprefix(PARTNER))
        return system.name or system.code if system else person_id
    if person_id.startswith(
        ("wechat:", "mailto:")
    ):  # somebody from outside, by the address that they wrote from
        scheme, _, address = person_id.partition(":")
        return address if scheme == "mailto" else f"WeChat …{address[-6:]}"
    return next((person.name for person in plant.people if person.id == person_id), person_id)


def score_text(value: float) -> str:
    """A share between 0 and 1 as percent."""
    return f"{number(100 * value)} %"


def letter_name(reason: str, words: Words) -> str:
    """Why a message could not be used; a reason of another version is named by its code."""
    return words(f"letter.{reason}") if f"letter.{reason}" in words else reason


def letter_cure(reason: str, words: Words) -> str:
    """What mends it, so that it can be taken anew."""
    return (
        words(f"letter_cure.{reason}") if f"letter_cure.{reason}" in words else words("verdict.letters_cure")
    )
