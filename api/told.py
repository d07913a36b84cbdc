"""What each operation of the API answers with, by its operationId: the table that the OpenAPI document is made from."""

from collections.abc import Mapping

from andon.assembly import Change
from andon.declarations import Entry
from andon.events import Gap, Json
from andon.plant import Asset, DetectorSet, Person
from api.channels import ChannelState
from api.flow import SourceState
from api.problem_deeds import DEEDS as PROBLEM_DEEDS
from api.shapes import Moment
from api.steps import DEEDS
from detectors import Setting
from ingest.freshness import Freshness
from ticketing import signing
from ticketing.alarm_desk import AlarmEvent
from ticketing.analysis.alarm_words import Told
from ticketing.analysis.crosstab import Before
from ticketing.approvals import Approval
from ticketing.approving.costs import CostLine, Sums
from ticketing.approving.delegations import Delegation
from ticketing.approving.requests import Decision as Decided
from ticketing.approving.requests import Request
from ticketing.approving.spending import Spent
from ticketing.approving.standstill import Standstill
from ticketing.deliveries import Call, Sent
from ticketing.dispatch import Decision
from ticketing.drift import Drifting
from ticketing.knowledge.article import Article
from ticketing.knowledge.articles import ArticleVersion, Cited
from ticketing.knowledge.similar import Alike
from ticketing.knowledge.suggesting import Suggested
from ticketing.labels import Label
from ticketing.links import Linked
from ticketing.metrics.actions import Action
from ticketing.metrics.gaming import Handler, Rising, Standard
from ticketing.metrics.metric import Counted
from ticketing.metrics.readings import Reading
from ticketing.obligations import Obligation
from ticketing.offers import Offer
from ticketing.operations.work import Measured, Step
from ticketing.partners.seeing import PartnerEvent, PartnerState, Unconfirmed
from ticketing.parts.catalogue import Part
from ticketing.parts.movements import Lot, Movement
from ticketing.parts.sheets import Taken
from ticketing.parts.suppliers import Supplier
from ticketing.plans.counting import Reading as MeterReading
from ticketing.plans.overview import Marked, Metered, Ran, Watched
from ticketing.problem import Problem, ProblemEvent
from ticketing.quality.audits import Audit
from ticketing.quality.batches import Batch, BatchEvent
from ticketing.quality.path import Origins
from ticketing.quality.shares import Contrast
from ticketing.quality.sisters import Deployment, Sister
from ticketing.quality.whys import Why
from ticketing.ratings import Rating
from ticketing.rehearsal import Rehearsal
from ticketing.reports import Intake
from ticketing.requests.attachments import Attachment
from ticketing.requisitions import Requisition
from ticketing.safety.signoff import Signed
from ticketing.store import AssetHistory, TicketDetail
from ticketing.suppression import Suppression
from ticketing.suppressions import SuppressionEvent
from ticketing.ticket import Occurrence, Photo, Ticket
from ticketing.timers import Timer
from ticketing.voice.acknowledgements import Acknowledgement
from ticketing.voice.enquiries import Enquiry

Kind = object
Also = tuple[Kind, Mapping[str, Kind]]
"""A kind with more fields beside its own, or others in their place."""


def page(item: Kind, **more: Kind) -> Mapping[str, Kind]:
    """A page of a list."""
    return {"items": (list, item), "next": str | None, "limit": int, **more}


CLOCK: Mapping[str, Kind] = {
    "kind": str,
    "state": str,
    "late": bool,
    "policy": str,
    "calendar": str,
    "from_at": Moment,
    "due_at": Moment | None,
    "ended_at": Moment | None,
    "limit_s": float,
    "taken_s": float,
    "left_s": float,
}
ALARM: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("id", "key", "detector", "asset", "line", "component", "family", "condition", "priority", "state"),
        str,
    ),
    "severity": int,
    "active": bool,
    "active_since": Moment | None,
    "last_change_at": Moment,
    "stale": bool,
    "chattering": bool,
    "activations": int,
    "chatters": int,
    "fleeting": int,
    "acknowledged_by": str | None,
    "acknowledged_at": Moment | None,
    "shelved_until": Moment | None,
    "out_of_service": str | None,
    "definition_code": str,
    "response_hint": Json,
    "consequence": Json,
}
STANDING: Mapping[str, Kind] = {
    "on_shift": bool,
    "on_leave": bool,
    "online": bool | None,
    "position": Json,
    "known": bool,
    "age_s": float | None,
}
MOVED: Kind = (list, {"id": int, "number": str, "assignee": str | None, "backup": str | None})
COUNTS = Mapping[str, int]
SUPPRESSION: Also = (Suppression, {"id": int | None, "matcher": Mapping[str, Json]})
LISTED: Also = (
    Suppression,
    {
        "id": int | None,
        "matcher": Mapping[str, Json],
        "held": int,
        "folded": int,
        "over": int,
        "events": list[SuppressionEvent],
    },
)
FILE: Also = (Attachment, {"href": str | None})
REPORT: Also = (Intake, {"body": str, "lost": bool})
OPERATION: Also = (
    Step,
    {"asks": (list, Mapping[str, Json]), "values": (list, (Measured, {"out": bool}))},
)
PLANNED: Mapping[str, Kind] = {"version": int | None}
SPECTRUM: Mapping[str, Kind] = {
    "at": Moment,
    "point": str,
    "unit": str,
    "window": str,
    "dx_hz": float,
    "value": list[float],
}
COSTS: Also = (
    Sums,
    {
        "currency": str,
        **dict.fromkeys(("actual_cents", "amount_cents", "approved_cents"), int),
        **dict.fromkeys(("needed", "lacking"), list[str]),
        "request": Request | None,
        "decisions": list[Decided],
        "lines": list[CostLine],
        "downtime": Standstill | None,
    },
)
WAITING: Also = (Request, {"number": str, "asset": str, "deciders": list[str]})
LABELLED = {"code": str, "zh": str, "en": str}

MEASURED: Mapping[str, Kind] = {
    "period": str,
    **dict.fromkeys(("from_at", "to_at", "matured_at"), Moment),
    **dict.fromkeys(("numerator", "denominator", "undecided", "left_out"), int),
    "value": float | None,
    "provisional": bool,
}
METRIC: Mapping[str, Kind] = {
    **dict.fromkeys(("code", "group", "zh", "en", "formula_zh", "formula_en", "unit", "verdict"), str),
    **dict.fromkeys(("golden", "higher_is_better"), bool),
    **dict.fromkeys(("healthy", "act"), float | None),
    **MEASURED,
}
METRIC_ACTION: Also = (Action, {"value": float | None, "zh": str, "en": str})

ANSWERS: Mapping[str, Kind] = {
    "list_tickets": page(Ticket, total=int, counts=COUNTS, capped=bool, offset=int),
    "get_ticket": (TicketDetail, {"clocks": (list, CLOCK)}),
    "list_ticket_occurrences": page(Occurrence),
    "get_finding": Occurrence,
    "get_finding_evidence": Mapping[str, Json],
    "get_finding_block": {
        **dict.fromkeys(("rate_hz", "speed_hz", "seconds", "from_s", "step_s"), float),
        **dict.fromkeys(("samples", "axes", "each"), int),
        "at": Moment,
        "point": str,
        "unit": str,
        "low": list[float],
        "high": list[float],
    },
    "get_finding_message": {
        **dict.fromkeys(("source", "kind", "topic", "head"), str),
        **dict.fromkeys(("position", "bytes"), int),
        "received_at": Moment,
        "text": str | None,
    },
    "get_finding_spectrum": SPECTRUM,
    "get_finding_envelope": SPECTRUM,
    "add_ticket_comment": Ticket,
    "add_ticket_photo": Photo,
    "add_ticket_signature": Photo,
    **{f"{step}_ticket": Ticket for step in DEEDS},
    **dict.fromkeys(
        (
            "split_ticket",
            "unmerge_ticket",
            "recode_ticket",
            "claim_ticket",
            "to_backup_ticket",
            "accept_ticket_offers",
            "decline_ticket_offers",
            "collaborators_ticket",
            "delete_ticket_collaborator",
            "edit_ticket_fields",
            "grant_approval",
        ),
        Ticket,
    ),
    "list_ticket_links": page(Linked),
    "add_ticket_link": {"items": list[Linked]},
    "delete_ticket_link": {"items": list[Linked]},
    "list_dedup_rules": page({"version": int, "since": Moment | None, "rules": Mapping[str, Json]}),
    "list_dedup_late": page(Occurrence),
    "dry_run_dedup": Rehearsal,
    "get_ticket_operations": {"items": (list, OPERATION)},
    "add_ticket_operation": {"items": (list, OPERATION)},
    **{f"{deed}_ticket_operation": OPERATION for deed in ("done", "correct", "take_back", "leave_out")},
    "list_plans": page(Watched, plans=(list, Mapping[str, Json])),
    "list_plans_calendar": page(Marked),
    "get_plan": Mapping[str, Json],
    "list_plan_runs": page(Ran),
    "put_plan": {**PLANNED, "machines": list[str], "dates": list[Moment]},
    "get_operation_templates": {"items": (list, Mapping[str, Json])},
    "put_operation_template": PLANNED,
    "list_meters": page(Metered, meters=(list, Mapping[str, Json])),
    "put_meter": PLANNED,
    "add_asset_meter_reading": MeterReading,
    "list_requisitions": page(Requisition),
    "add_ticket_requisition": Requisition,
    "issue_requisition": Requisition,
    **dict.fromkeys(("withdraw_requisition", "return_requisition"), Requisition),
    "list_parts": page(Part),
    "get_part": (Part, {"lots": list[Lot]}),
    **dict.fromkeys(("save_part", "receive_stock", "count_stock"), Part),
    "list_stock_movements": page(Movement),
    "list_suppliers": page(Supplier),
    "save_supplier": Supplier,
    "get_stock_sheet": str,
    "take_stock_sheet": Taken,
    "sign_code_ticket": signing.Sent,
    "list_approvals": page(Approval),
    "add_ticket_approval": Approval,
    "refuse_approval": Approval,
    **dict.fromkeys(
        ("get_ticket_costs", "estimate_ticket", "state_ticket_downtime", "ask_ticket_costs"), COSTS
    ),
    **dict.fromkeys(("add_ticket_labour", "add_ticket_cost", "add_ticket_cost_take_back"), CostLine),
    "list_cost_requests": page(WAITING),
    "list_cost_requests_mine": page(WAITING),
    **dict.fromkeys(("grant_cost_request", "refuse_cost_request"), Request),
    "list_delegations": page(Delegation),
    **dict.fromkeys(("add_delegation", "revoke_delegation"), Delegation),
    "get_ticket_safety": {
        "asked": (list, Mapping[str, Json]),
        "lacking": list[str],
        "signed": list[Signed],
    },
    "sign_ticket_safety": Ticket,
    "get_asset_costs": {
        "currency": str,
        "days": float,
        **dict.fromkeys(("labour_minutes", "labour_cents", "parts_cents", "other_cents", "cents"), int),
        "downtime_minutes": float,
        "tickets": (list, (Spent, {"cents": int})),
    },
    "get_ticket_types": {"items": (list, Mapping[str, Json]), "version": int},
    "assemble_ticket_type": {
        "changes": list[Change],
        "unsound": list[str],
        "open_tickets": int,
        "version": int | None,
    },
    "add_ticket_rating": Rating,
    "fulfil_ticket_obligation": Obligation,
    "list_obligations": page(Obligation),
    "list_articles": page(Article),
    "list_articles_pool": page(Article),
    **dict.fromkeys(
        (
            *("add_article", "edit_article", "publish_article", "merge_article", "discard_article"),
            *("withdraw_article", "add_ticket_citation"),
        ),
        Article,
    ),
    "get_article": (Article, {"versions": list[ArticleVersion], "cited_on": list[Cited]}),
    "get_ticket_alike": {
        "tickets": list[Alike],
        "articles": list[Suggested],
        "cited": list[Article],
    },
    "add_ticket_enquiry": Enquiry,
    "list_ticket_enquiries": page(Enquiry),
    "acknowledge_ticket": Acknowledgement,
    "list_ticket_acknowledgements": page(Acknowledgement),
    "list_acknowledgements": page(Acknowledgement),
    "get_closing": {
        "causes": (list, {**LABELLED, "retired": bool}),
        "scene_tags": (list, Mapping[str, Json]),
    },
    "get_scene_tags_top": {"items": (list, Mapping[str, Json])},
    "get_ticket_routing": {"decisions": list[Decision], "offers": list[Offer]},
    "list_people": page((Person, {**STANDING, "open_tickets": int})),
    "put_person_presence": {"person": str, **STANDING, "moved": MOVED},
    "list_person_offers": page(Offer),
    "reassign_person": {"person": str, "moved": MOVED},
    "test_routing": Decision,
    "add_report": REPORT,
    "list_reports": page(REPORT, counts=COUNTS),
    "get_report": REPORT,
    "add_report_attachment": FILE,
    "get_ticket_attachments": {"items": (list, FILE)},
    "get_reports_types": {
        "ticket_types": (list, Mapping[str, Json]),
        "fault_types": (list, Mapping[str, Json]),
    },
    "list_problems": page(Problem),
    "get_problem": (Problem, {"events": list[ProblemEvent]}),
    **{f"{step}_problem": Problem for step in PROBLEM_DEEDS},
    "add_investigation": Problem,
    "get_problem_analysis": {
        "whys": list[Why],
        "fishbone": Mapping[str, list[Why]],
        "disciplines": (list, {"code": str, "missing": list[str]}),
    },
    "get_problem_measures": {"sisters": list[Sister], "batches": list[Batch], "audits": list[Audit]},
    "get_failures": {
        "models": (list, {"model": str, "tickets": int}),
        "faults": list[str],
        "unsaid": int,
        "cells": (list, (Contrast, {"model": str, "fault": str})),
    },
    "get_failures_origins": Origins,
    "list_failures_tickets": page({"ticket": int}),
    "get_ticket_sisters": {"machines": list[str], "waits": bool, "tasks": list[Sister]},
    **dict.fromkeys(("add_ticket_sister", "add_problem_sister"), Deployment),
    "list_sisters": page(Sister),
    **dict.fromkeys(("finish_sister", "drop_sister"), Sister),
    "list_batches": page(Batch),
    "get_batch": (Batch, {"events": list[BatchEvent]}),
    **dict.fromkeys(("add_problem_batch", "decide_batch"), Batch),
    "list_audits": page(Audit),
    **dict.fromkeys(("add_problem_audit", "finish_audit"), Audit),
    "make_field_mandatory": {"version": int, "field": Json},
    "list_assets": page(Mapping[str, Json], plant=str, time_zone=str),
    "get_asset": (
        Asset,
        {
            "line": str,
            "channels": (list, {"channel": str, "unit": str, "at": Moment, "value": float}),
            "history": AssetHistory,
            "maintenance": Entry | None,
        },
    ),
    "list_asset_declarations": page(Entry),
    "declarations_asset": Entry,
    "get_asset_series": {
        "asset": str,
        "channel": str,
        "unit": str,
        "at": list[Moment],
        "value": list[float],
    },
    "list_detectors": page(
        {"asset": str, "kind": str, "name": str, "parameters": list[Setting]}, set=DetectorSet
    ),
    "list_detectors_versions": page((DetectorSet, {"since": Moment, "since_ns": int})),
    "promote_detectors": DetectorSet,
    "rollback_detectors": DetectorSet,
    "backtests_detectors": {"id": str},
    "get_detectors_backtest": {
        "id": str,
        "state": str,
        "percent": int,
        "error": str,
        "result": Json,
    },
    "list_analysis_dimensions": page({"code": str}),
    "get_analysis": {
        "rows": list[Mapping[str, Json]],
        "columns": list[Mapping[str, Json]],
        "counts": list[list[int]],
        "total": int,
        "left_out": int,
        "period": str,
        "of": str,
        "before": Before | None,
    },
    "list_analysis_tickets": page(Counted),
    "list_papers": page({"name": str, "asks": str}),
    "order_paper": {"id": str},
    "get_paper_pdf": str,
    "get_paper": {
        "id": str,
        "name": str,
        "about": str,
        "language": str,
        "state": str,
        "percent": int,
        "error": str,
    },
    "list_labels": page(Label),
    "add_label": {"id": int},
    "list_sources": page((SourceState, {"balances": bool}), stages=Mapping[str, COUNTS], degraded=list[str]),
    "list_dead_letters": page(Mapping[str, Json], counts=COUNTS, asked=int),
    "get_dead_letter": Mapping[str, Json],
    "redrive_dead_letters": {"asked": int},
    "redrive_dead_letter": {"asked": int},
    "list_gaps": page(Gap),
    "list_freshness": page(Freshness, counts=COUNTS),
    "list_topics": page({"type": str, "schema": Mapping[str, Json]}),
    "get_topic": Mapping[str, Json],
    "list_channels": page(ChannelState),
    "list_outbox": page(Sent),
    "get_outbox": (Sent, {"content": Json, "calls": list[Call]}),
    "list_partners": page(PartnerState),
    "list_partner_unconfirmed": page(Unconfirmed),
    "list_partner_events": page(PartnerEvent),
    "send_again_partner": {"sent_again": int},
    "hear_partner": Mapping[str, Json],
    "redrive_outbox": {"redriven": int},
    "list_messages": page(Sent),
    "list_ticket_clocks": page(CLOCK),
    "list_board": page({"ticket": Ticket, "clocks": (list, CLOCK)}, total=int),
    "list_kpis": page(METRIC),
    "get_kpi": {**METRIC, "soaring": bool, "trend": (list, MEASURED)},
    "list_kpi_tickets": page(Counted),
    "get_kpi_readings": {
        "joint": list[Reading],
        "handlers": (list, (Handler, {"cherries": bool, "hasty": bool})),
        "rising": list[Rising],
        "standard": list[Standard],
    },
    "list_kpi_actions": page(METRIC_ACTION),
    "done_kpi_action": METRIC_ACTION,
    "list_drift": page(
        (Drifting, {"reasons": list[str]}),
        day=str,
        at=Moment,
        days=(list, {"day": str, "tickets": int}),
    ),
    "list_timers_failed": page(Timer),
    "again_timers_failed": {"tried": bool},
    "list_suppressions": page(LISTED),
    "get_suppression": LISTED,
    "add_suppression": SUPPRESSION,
    "delete_suppression": SUPPRESSION,
    "list_alarms": page(ALARM, total=int, counts=COUNTS),
    "get_alarms_bad_actors": {
        **dict.fromkeys(("chattering", "fleeting", "stale"), (list, ALARM)),
        "total": COUNTS,
    },
    "get_alarms_performance": {
        "period": str,
        "from": Moment,
        "to": Moment,
        "base_h": float,
        "base_wanted_h": float,
        "positions": list[str],
        "alarms": int,
        "measures": list[Mapping[str, Json]],
        "priorities": Mapping[str, Json],
        **dict.fromkeys(
            ("top", "chattering", "fleeting", "stale", "busy", "floods", "unauthorised"),
            list[Mapping[str, Json]],
        ),
    },
    "list_alarms_performance_occurrences": page(Told),
    "get_alarm": {
        **ALARM,
        "definition": Mapping[str, Json],
        "ticket": Json,
        "transitions": (list, {"at": Moment, "active": bool}),
        "events": list[AlarmEvent],
    },
    **dict.fromkeys(
        ("acknowledge_alarm", "unacknowledge_alarm", "out_of_service_alarm", "return_to_service_alarm"), ALARM
    ),
}
