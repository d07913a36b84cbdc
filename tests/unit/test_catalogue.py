"""Every word that a page says exists in both languages, with the same arguments, and none is left over."""

import re
import string
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from andon.access import roles
from andon.assembly import ModuleKind
from andon.events import Action, Declared, Family, GapCause, PackMLState, Priority
from andon.rules.plans import Unit
from andon.stories import tale
from api import problems
from api.catalogue import LANGUAGES, Words, negotiate, words_of
from api.pages import PLACES, SCRIPT_WORDS
from api.problem_deeds import DEEDS
from api.reporting.papers import PAPERS
from api.telling import TOLD
from api.visit import THEMES
from api.web import alarm_pages, people_page, report_page, sources, weighed
from api.web.analysis_pages import PRESETS
from api.web.parameters import said
from api.web.pipeline_page import STAGES
from api.web.pipeline_verdict import TROUBLES
from api.web.problem_forms import FIELDS
from api.web.spectra import SAID_OF_BLOCKS, SAID_OF_CURSORS
from detectors import kinds, settings_of
from ingest.freshness import State
from ingest.refusal import Reason
from tests.unit.test_refusals import BY_WHAT_IS_MISSING, OF_PROGRAMS
from ticketing import dispatch, routing, triage
from ticketing.alarms import AlarmState
from ticketing.analysis.alarm_kpis import Measure
from ticketing.analysis.crosstab import Of
from ticketing.analysis.dimensions import DIMENSIONS
from ticketing.approving.requests import Verdict
from ticketing.approving.standstill import Said
from ticketing.audit import AUDITED
from ticketing.causes import CAUSES
from ticketing.clocks import ClockKind
from ticketing.demands import Demand, Hold, SignedBy
from ticketing.knowledge.article import ArticleState
from ticketing.labels import What
from ticketing.links import SEEN_FROM_THERE
from ticketing.metrics import filters, metric
from ticketing.nodes import NodeName
from ticketing.obligations import Owed
from ticketing.offers import OfferState
from ticketing.parts.movements import Kind as MovementKind
from ticketing.parts.sheets import Kind as SheetKind
from ticketing.parts.suppliers import Status as SupplierStatus
from ticketing.plans.overview import Verdict as RunVerdict
from ticketing.problem import (
    ActionKind,
    ActionState,
    Category,
    CauseKind,
    ProblemKind,
    ProblemOutcome,
    ProblemState,
)
from ticketing.problem_states import ProblemDemand
from ticketing.quality.audits import Result
from ticketing.quality.batches import BatchState
from ticketing.quality.batches import Deed as BatchDeed
from ticketing.quality.shares import Verdict as ShareVerdict
from ticketing.raci import Role
from ticketing.requests import talking
from ticketing.requisitions import RequisitionState
from ticketing.states import Step
from ticketing.store import Sort
from ticketing.suppression import SuppressionKind
from ticketing.ticket import OUT_OF_LIMIT, PLANNED, Closure, FoldRule, Outcome, SubState, TicketState

ROOT = Path(__file__).parents[2]
API = ROOT / "api"

CONDITIONS = (
    *("unusual_course", "not_judged", "not_assessable", "velocity_change"),
    *("neighbour_rise", "operating_change"),
    *("level_shift", "drift", "variance_rise", "variance_collapse", "stuck_value", "spikes"),
    *("zone_c", "zone_d", "band_energy_rise", "bearing_outer_race", "bearing_inner_race", "process_change"),
    *(
        "bearing_rolling_element",
        "bearing_cage",
        "bearing_unknown",
        "silent_sensor",
        "stop",
        "detector_failed",
    ),
    *("imbalance", "misalignment", "looseness", "electrical"),
    *(
        "stop_rate",
        "minor_stops",
        "longer_stops",
        "chattering",
        "fleeting_alarm",
        "standing_alarm",
        "alarm_flood",
    ),
    *("sensor_jitter", "sensor_bursts", "sensor_lost_rows", "sensor_stamp_twice", "sensor_period_changed"),
    *("clock_ahead", "clock_behind", "clock_zone", "clock_future"),
    *(
        "source_away",
        "source_quarantined",
        "untrusted_certificate",
        "certificate_expiring",
        "insecure_source",
    ),
    *(
        "broker_dropped",
        "configuration_refused",
        "disk_low",
        "disk_full",
        "journal_corrupt",
        "repeat_differs",
        "baseline_forgotten",
    ),
    *("id_conflict", "identity_overflow"),
    *(
        "channel_down",
        "partner_unsynced",
        "messages_undelivered",
        "canary_failed",
        "timer_failed",
        "messages_backlog",
        "records_backlog",
    ),
    *("series_not_sealed", "mirror_away", "mirror_dropped", "mirror_rejected"),
    *("reported_failure", "reported_fault", "reported_request"),
    *(PLANNED, OUT_OF_LIMIT),
)
MACHINE_DEEDS = (
    *("escalated", "reminded", "drifting"),
    *("opened", "joined", "joined_many", "returned", "merged", "split", "split_off", "grouped"),
    *("unmerged", "unmerged_from", "linked", "unlinked"),
    *("problem_opened", "problem_joined", "comment", "photo", "attachment", "edited", "recode"),
    *("requisition", "parts_issued", "parts_returned", "requisition_withdrawn", "sign_code", "signature"),
    *("approval_asked", "approval_refused", "rating", "knowledge_done", "review_done"),
    *("obligation", "obligation_overdue"),
    *("estimate", "labour", "cost", "cost_taken_back", "downtime", "safety"),
    *(f"cost_{deed}" for deed in ("asked", "granted", "refused", "waits")),
    *("enquiry", "acknowledged", "unacknowledged", "cited"),
    *("operation_done", "measurement_corrected", "operation_taken_back", "operation_left_out"),
    *("operations_taken", "plan_overdue"),
    *("routed", "offered", "offer_decline", "collaborator", "backup"),
    *("snoozed", "woken", "not_carried_out"),
    *("deployed", "sister_done", "sister_dropped"),
)
REFUSALS = (
    *("no_token", "wrong_token", "foreign_host", "foreign_origin", "no_right", "only_whole_plant"),
    *("too_many_requests", "not_found", "broken"),
)


def numbers_said() -> set[str]:
    """The names of the numbers that detectors give, as they stand in their code."""
    texts = [path.read_text("utf-8") for path in (ROOT / "detectors").glob("*.py")]
    proposed = {"active", "on_delay", "pause", "off_delay", "activations", "standing_s"}  # of chattering
    return proposed | {name for text in texts for name in re.findall(r'Number\(\s*"(\w+)"', text)}


FAMILIES: dict[str, Iterable[str]] = {
    "analysis.preset_": tuple(name for name, _ in PRESETS),
    "analysis.of_": Of,
    **{f"performance.{one}_": Measure for one in ("name", "how", "bound")},
    "performance.list_": ("busy", "floods", "top", "chattering", "fleeting", "stale", "unauthorised"),
    "dimension.": (*DIMENSIONS, "others"),
    "paper.": (
        *PAPERS,
        *("ticket", "machine", "approver", "why", "when", "what", "figure", "rule", "who", "did", "attached"),
    ),
    "access.": (
        *("password_short", "password_long", "password_is_name", "password_common"),
        *("password_same", "password_differs"),
        *("key_rights", "key_days", "key_nameless", "key_many"),
    ),
    "detectors.by_": ("opened", "false", "last"),
    "channels.is_": ("closed", "open", "half_open", "unknown"),
    "told.card_": ("machine", "line", "place", "person", "far"),
    "field.": ("yes", "no"),
    "told.": (
        *(*TOLD, "limit_over", "limit_near", "of_problem", "of_action", "of_task"),
        *("title", "digest", "more", "where", "who", "reason"),
    ),
    "action.": Action,
    "activity.": (*Step, *MACHINE_DEEDS),
    "audit_result.": Result,
    "batch_state.": BatchState,
    "cause_kind.": CauseKind,
    "eight_d.": [f"d{n}" for n in range(9)],
    "eight_d.missing_": (
        *("emergency", "leader", "team", "what", "where", "when", "how_many", "containment", "occurrence"),
        *("escape", "corrective", "chosen_because", "corrective_done", "effect", "preventive", "recognition"),
    ),
    "quality.": (
        *(*BatchDeed, *get_args(ShareVerdict), "decided_elsewhere", "sister_done", "sister_dropped"),
        *("audit_begun", "audit_done", "made_mandatory"),
    ),
    "actor.": ("detector", "rule", "plan"),
    "attachment.": ("video", "audio"),
    "requests.refused_": (
        *("report_refused", "event_id_missing", "report_unreadable", "report_too_large"),
        "idempotency_key_reused",
    ),
    "talk.": talking.Outcome,
    "backtest.": (
        *("findings", "tickets", "tickets_per_week", "rcas", "known_faults", "caught"),
        *("false_tickets", "unlabelled_tickets", "active", "changed"),
    ),
    "backtest.is_": ("running", "done", "failed"),
    "backtest.verdict_": ("same", "earlier", "later", "only_active", "only_changed"),
    "bearing.": (
        *("rolling_elements", "element_diameter", "pitch_diameter", "contact_angle", "speed"),
        *("outer", "inner", "element", "cage"),
    ),
    "channel.": report_page.KNOWN,
    "chain.": ("creator", "assigner", "handler", "backup", "requester", "last", "last_at"),
    "costs.": ("estimate", "hours", "labour", "parts", "besides", "actual", "approved", "downtime", "total"),
    "costs.decided_": Verdict,
    "costs.did_": Verdict,
    "costs.stood_": Said,
    "costs.via_": ("delegated", "stands_in"),
    "approvals.cost_": ("estimate", "actual"),
    "assembly.": (
        *ModuleKind,
        *(f"{how}_{kind}" for kind in ModuleKind for how in ("with", "without")),
        *("opening", "resolving"),
    ),
    "assembly.change_": ("limit", "field", "mandatory"),
    "assembly.more_": ("name", "zh", "en"),
    "changed.": (*AUDITED, "condition"),
    "chart.": (*("envelope_title", "spectrum_title", "trend_limit", "trend_baseline"),),
    "chart.trend_": ("limit", "baseline"),
    "choice.": {choice for kind in kinds() for one in settings_of(kind, {}) for choice in one.choices},
    "closure.": Closure,
    "component.": ("bearing_de", "bearing_nde", "motor"),
    "declaration.": Declared,
    "counted.": (
        *(action for action in Action),
        *("values", "findings", "duplicates", "opened", "joined", "reopened", "late", "cleared", "failures"),
        *("problems_opened", "problems_joined", "held", "suppressed"),
    ),
    "demand.": (
        *(demand for demand in Demand),
        *("backup_same_as_person", "cause_unknown", "cause_retired", "master_itself"),
        *("skill", "person_unknown", "backup_unknown", "master_is_closed", "proposal_answered"),
        *("arrival_other_asset", "hold_on_hold", "requisition_open", "other_signer_is_handler"),
        *("scene_tag_unknown", "scene_tag_retired", "approver_no_role", "approver_to_be_asked"),
        *(f"signature_code_{why}" for why in ("absent", "wrong", "expired", "used", "spent")),
        *("reason_vague", "summary_vague", "summary_unsolved"),
        *("amount", "minutes", "items", "assignee_signs", "giver", "taker", "taker_same_as_giver"),
        *(f"until_{why}" for why in ("before_from", "in_future", "over", "too_long")),
        *("approvals_of", "safety_of", "safety_end_of"),
        *("nps", "caller", "caller_works_on_it", "into", "article", "article_own"),
        *("part", "part_retired", "quantity", "quantity_out_of_range", "stars", "until"),
        *("lot", "lot_of_another_delivery", "lot_too_long", "supplier", "supplier_unknown"),
        *("supplier_blocked", "barcode", "barcode_taken"),
        *("code", "name", "unit", "min_stock", "price", "fits", "grade", "status"),
        *("assets", "action_text", "type", "label", "moment", "field", "field_is_mandatory"),
        *("lots", "auditor", "findings", "due"),
    ),
    "error.": (*problems.STATUS.keys() - OF_PROGRAMS - BY_WHAT_IS_MISSING, "no_text", "invalid_request"),
    "hold.": Hold,
    "node.": NodeName,
    "knowledge.": (
        "machine",
        "model",
        "condition",
        "keywords",
        "edit",
        "publish",
        "merge",
        "discard",
        "withdraw",
    ),
    "knowledge.field_": ("title", "solution", "keywords", "cause"),
    "knowledge.is_": ArticleState,
    "knowledge.shows_": ("photo", "trend", "spectrum", "envelope", "other"),
    "knowledge.why_": ("condition", "component", "fault", "machine", "model", "class", "words"),
    "owed.": Owed,
    "partner_refused.": (
        *("stale_version", "no_edge", "step_refused", "step_unknown", "version_missing", "ticket_not_found"),
        *("type_unknown", "echo_loop", "fields_refused", "report_refused", "event_id_missing"),
        *("part_not_found", "key_has_open_ticket", "too_many_tickets"),
    ),
    "parts.is_": RequisitionState,
    "parts.": ("issue", "return", "withdraw"),
    "store.": ("name", "name_zh", "unit", "place", "barcode"),
    "store.kind_": MovementKind,
    "store.sheet_": SheetKind,
    "store.status_": SupplierStatus,
    "signed_by.": SignedBy,
    "explain.": (
        *("onset", "said_at", "baseline", "shape", "operating_state", "ended_by", "masked"),
        *("detector", "version", "set", "hash", "confidence", "block", "trace", "id"),
    ),
    "explain.block_": ("acquisition", "state", "health", "prognosis"),
    "explain.shape_": ("day", "week"),
    "explain.state_": ("speed", "load"),
    "false_alarm.": ("planned_work", "sensor_loose", "process_change", "known_noise"),
    "finding.": [f"{condition}.{part}" for condition in CONDITIONS for part in ("name", "verdict")],
    "flash.": (
        "assign",
        "false_alarm",
        "declared",
        "done",
        "refused",
        "stale",
        "photo",
        "not_done",
        "quality_done",
        "undone",
        "promoted",
        "marked",
        "letters_asked",
        "partner_again",
    ),
    "alarm_state.": [f"{state}{part}" for state in AlarmState for part in ("", "_why")],
    "alarm_step.": alarm_pages.STEPS,
    "alarms.": ("chattering", "fleeting", "stale"),
    "alarms.which_": alarm_pages.STATES,
    "family.": Family,
    "fold.": FoldRule,
    "held_back.": SuppressionKind,
    "forecast.": sources.REASONS.values(),
    "freshness.": State,
    "frame.": [name for name, _ in PLACES],
    "gap_cause.": GapCause,
    "lane.": ("state", "stops", "findings", "gaps", "declared", "ticket"),
    "course.": ("from", "to", "lane", "what"),
    "cursor.": (*SAID_OF_CURSORS, "frequency", "cpm", "in_orders", "amplitude"),
    "wave.": SAID_OF_BLOCKS,
    "help.key_": ("j", "k", "a", "n", "m", "s", "u", "o", "find", "help"),
    "inbox.about_to_": triage.DEEDS,
    "kind.": kinds(),
    "label.is_": What,
    "letter.": Reason,
    "letter_cure.": Reason,
    "next.title_": ("assign", "accept", "resume", "resolve", "sign", "relearn", "archive"),
    "number.": numbers_said(),
    "outcome.": Outcome,
    "packml.": [state.name for state in PackMLState],
    "pipeline.is_": ("connected", "disconnected", "down", "unknown"),
    "people.did_": (
        *(
            "account_made",
            "account_disabled",
            "account_enabled",
            "account_unlocked",
            "key_made",
            "key_revoked",
        ),
        *("password_changed", "password_reset", "places_set", "roles_set"),
        *("session_ended", "sessions_ended", "sign_in_refused", "signed_in"),
    ),
    "people.do_": people_page.DOORS,
    "people.once_": ("password", "key"),
    "people.role_": roles.Role,
    "people.wrong_": (
        *("account_name", "account_exists", "last_administrator", "no_role", "no_place"),
        *("key_days", "key_many", "key_nameless", "key_rights", "unknown_key", "unknown_account"),
    ),
    "operations.wrong_": ("measurement", "instrument", "minutes", "done_by"),
    "place.": ("alarm", "machine"),
    "plans.based_on_": ("scheduled", "completed"),
    "plans.every_": (*get_args(Unit), "usage"),
    "plans.is_": RunVerdict,
    "plans.state_": ("waits", "unread", "never", "off", "open"),
    "plans.unit_": get_args(Unit),
    "plans.wrong_": (
        *(f"value_{why}" for why in ("not_a_number", "too_small", "too_great", "falls")),
        *("at_in_the_future", "note_absent"),
    ),
    "priority.": get_args(Priority),
    "problem_state.": ProblemState,
    "problem_kind.": ProblemKind,
    "problem_outcome.": ProblemOutcome,
    "problem_step.": DEEDS,
    "problem_field.": {name for fields in FIELDS.values() for name in fields},
    "problem_demand.": (
        *ProblemDemand,
        *(
            "parent_too_deep",
            "due_is_past",
            "checker_owns_an_action",
            "actor_checks_owns_an_action",
            "approver_is_owner",
        ),
    ),
    "problem_activity.": (
        *("opened", "joined", "left", "flagged", "recur", "due", "overdue", "check"),
        *("deployed", "sister_done", "sister_dropped", "audit_begun", "audit_done", "made_mandatory"),
        *(f"batch_{deed}" for deed in BatchDeed),
    ),
    "category.": Category,
    "action_kind.": ActionKind,
    "action_state.": ActionState,
    "problems.gap_": ("resolved", "activation", "watched"),
    "problems.review_": ("false_alarm", "below"),
    "quantity.": (
        *(
            "velocity_rms",
            "acceleration_rms",
            "kurtosis",
            "crest",
            "band_energy_ratio",
            "energy_above_1khz_ratio",
            "shaft_line_ratio",
        ),
        *("neighbour_ratio", "common_ratio", "mean_abs"),
        *("stops", "active", "delay", "distance", "voltage"),
        *("temperature", "current", "pressure", "speed", "flow", "power", "state"),
    ),
    "right.": roles.Right,
    "role.": roles.Role,
    "relearn.why_": ("repair", "operating_change"),
    "refused.": (
        *REFUSALS,
        *(f"{code}_text" for code in REFUSALS),
        *(f"{code}_cure" for code in REFUSALS if code not in {"not_found", "broken"}),
    ),
    "report.": (
        *("type", "fault_type", "priority", "grade", "region", "reason", "event_id", "channel", "state"),
        *("asset", "serial", "order_number", "reporter", "phone"),
    ),
    "report.wrong_": (
        *(
            "value",
            "absent",
            "unknown",
            "reserved",
            "retired",
            "closed",
            "one_of",
            "of_another_asset",
            "serial_of_several",
        ),
        *(
            "not_a_number",
            "too_small",
            "too_great",
            "not_a_choice",
            "not_a_date",
            "too_long",
            "string_too_long",
        ),
    ),
    "related.": (*SEEN_FROM_THERE, *SEEN_FROM_THERE.values(), *ProblemKind),
    "offer.": OfferState,
    "raci.": Role,
    "routing.named_": ("person", "backup"),
    "routing.take_": ("offer", "claim"),
    "routing.part_": weighed.PARTS,
    "routing.miss_": routing.AGAINST,
    "routing.rule_": (
        *("best", "line_leader", "duty", "owner", "unclaimed", "nobody"),
        *routing.AGAINST,
    ),
    "routing.why_": dispatch.WHY,
    "rule.": (
        *("usual", "critical", "line_stop", "three_a_month", "repeat", "repeat_72h", "recurrence", "due"),
        *(
            "drift",
            "ground",
            "backup",
            "flood",
            "close_unsigned",
            *Owed,
            "cause",
            "operating_change",
            "triage",
            "plan_overdue",
            "acknowledgement",
            "cost_request",
        ),
    ),
    "solution.": (
        "summary",
        "cause",
        "same_kind",
        "handler",
        "signer",
        "closure",
        "note",
        "outcome",
        "relearn",
        "signed_by",
        "scene_tag",
    ),
    "source.": [key.removeprefix("source.") for _, key in sources.PARTS],
    "stage.": STAGES,
    "state.": TicketState,
    "step.": Step,
    "stop.": (*("message", "category", "state", "reason_value", "point", "component", "detector", "error"),),
    "sub_state.": SubState,
    "term.": ("axial", "load", "mains", "speed"),
    "theme.next_": THEMES,
    "sla.clock_": ClockKind,
    "drift.why_": ("claims", "update"),
    "kpi.is_": [one for one in metric.Verdict if one is not metric.Verdict.NONE],
    "kpi.n_": (metric.Part.UNDECIDED, metric.Part.LEFT_OUT),
    "kpi.part_": metric.Part,
    "kpi.field_": filters.FIELDS,
    "tickets.sort_": Sort,
    "tick.": ("solved", "no_derived_risk", "no_further_support"),
    "time.": ("day", "hour", "minute"),
    "story.": tale.KINDS,
    "story.field.": tale.FIELDS,
    "story.verdict.": get_args(ShareVerdict),
    "verdict.": [f"{code}{part}" for code in TROUBLES for part in ("", "_cure")],
    "weekday.": "0123456",
    "work.": ("series", "store", "photos"),
    "work.title_": ("engine", "storage"),
    "zone.": "ABCD",
}
"""What a key that is put together at run time can be: its beginning, and every end that the code can give it."""


def files() -> Iterable[str]:
    patterns = ("api/**/*.py", "api/web/templates/*.html", "api/web/static/*.js", "andon/stories/*.py")
    for pattern in patterns:
        for path in ROOT.glob(pattern):
            if "vendor" not in path.parts:
                yield path.read_text("utf-8")


def literal_keys() -> set[str]:
    """Keys that stand whole in the code: t("a.b"), words("a.b", …), say(answer, "a.b"), key = "a.b"."""
    known = set(words_of("en"))
    return {
        key for text in files() for key in re.findall(r"[\"'](\w+\.\w+(?:\.\w+)*)[\"']", text) if key in known
    }


def called_keys() -> set[str]:
    """Keys in the calls that look them up, known or not."""
    calls = r"(?:\bt|\bwords|\.html|\bsay\(\w+,)\(?\s*[\"'](\w+(?:\.\w+)+)[\"'](?! ~)"
    return {key for text in files() for key in re.findall(calls, text)}


def beginnings() -> set[str]:
    """Beginnings of keys that are put together: t("state." ~ x) and words(f"state.{x}")."""
    found: set[str] = set()
    for text in files():
        found |= set(re.findall(r"(?<!\w)t\([\"']([\w.]+)[\"'] ~", text))
        found |= set(re.findall(r"f[\"']([a-z_]+\.[a-z_]*)\{", text))
    return {
        beginning
        for beginning in found
        if beginning.split(".")[0] in {k.split(".")[0] for k in words_of("en")}
    }


def used() -> set[str]:
    put_together = {f"{beginning}{end}" for beginning, ends in FAMILIES.items() for end in ends}
    return literal_keys() | called_keys() | put_together


def arguments(words: Words, key: str) -> set[str]:
    fields = (
        field for text in words.patterns(key).values() for _, field, _, _ in string.Formatter().parse(text)
    )
    return {field for field in fields if field}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_is_used_exists(language: str) -> None:
    words = words_of(language)  # type: ignore[arg-type]
    assert sorted(used() - set(words)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_left_over(language: str) -> None:
    words = words_of(language)  # type: ignore[arg-type]
    assert sorted(set(words) - used() - parameter_keys(words)) == []


def parameter_keys(words: Words) -> set[str]:
    """The keys under which parameters of detectors are told."""
    return {key for key in words if key.startswith("parameter.")}


def test_every_parameter_of_every_kind_is_told_in_chinese_and_no_other() -> None:
    zh, found, shared = words_of("zh"), set(), defaultdict(set)
    for kind in kinds():
        for one in settings_of(kind, {}):
            own, common = f"parameter.{kind}.{one.name}", f"parameter.common.{one.name}"
            found.add(own if own in zh else common)
            if own not in zh:
                shared[common].add(one.description)
    assert found == parameter_keys(zh)
    assert {key: said for key, said in shared.items() if len(said) > 1} == {}  # one text is of one meaning


def test_a_parameter_reads_as_a_name_and_a_sentence() -> None:
    zh = words_of("zh")
    form = re.compile(r"[^：。]{2,14}：[^：]+。")
    assert [key for key in parameter_keys(zh) if not form.fullmatch(zh(key))] == []
    (setting,) = [one for one in settings_of("band_energy", {}) if one.name == "rise"]
    told = said("band_energy", setting, zh)
    assert (told.title, told.description[:10]) == ("上升限值", "两个主导频带相对基线")
    assert said("band_energy", setting, words_of("en")) == setting


def test_every_beginning_of_a_key_is_known_with_its_ends() -> None:
    assert sorted(beginnings() - set(FAMILIES)) == []


def test_both_languages_take_the_same_arguments() -> None:
    zh, en = words_of("zh"), words_of("en")
    assert {key for key in en if arguments(zh, key) != arguments(en, key)} == set()


def test_chinese_is_written_with_chinese_marks() -> None:
    zh = words_of("zh")
    mixed = re.compile(r"[\u4e00-\u9fff][,;:?()]|[,;:?(][\u4e00-\u9fff]")
    assert [key for key in zh for text in zh.patterns(key).values() if mixed.search(text)] == []


def test_every_cause_has_a_label_in_both_languages() -> None:
    assert len(CAUSES) == 23
    assert all(cause.zh and cause.en and cause.zh != cause.en for cause in CAUSES.values())


def test_the_words_of_scripts_are_those_that_scripts_say() -> None:
    said = {
        key
        for path in (API / "web/static").glob("*.js")
        for key in re.findall(r"js\.\w+", path.read_text("utf-8"))
    }
    states = {"js.live_on", "js.live_off"}
    assert {key for key in said if key in words_of("en")} | states == set(SCRIPT_WORDS)


def test_a_count_of_one_reads_like_one() -> None:
    en = words_of("en")
    assert en("ticket.folded", n=1) == "1 event"
    assert en("ticket.folded", n=47) == "47 events folded into this one"
    assert words_of("zh")("ticket.folded", n=47) == "47 个事件合并于此"


def test_arguments_of_markup_are_escaped() -> None:
    said = words_of("en").html("finding.stop.verdict", message="<script>alert(1)</script>")
    assert said == "The machine stopped: <b>&lt;script&gt;alert(1)&lt;/script&gt;</b>."


@pytest.mark.parametrize(
    ("chosen", "accept", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en;q=0.5, zh;q=0.6", "zh"),
        ("zh", "en", "zh"),
        ("fr", "fr", "en"),
        (None, "zh;q=broken, en", "en"),
    ],
)
def test_the_chosen_language_comes_before_the_browsers(
    chosen: str | None, accept: str, language: str
) -> None:
    assert negotiate(chosen, accept) == language
