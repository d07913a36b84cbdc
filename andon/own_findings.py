"""Findings about Andon's own line: notices that stand, and detectors that failed."""

import hashlib

from andon.events import Action, Event, Family, Finding, Gap, Notice
from andon.ports import Detector

OWN_ASSET = "andon"
"""What findings about Andon's own line name as their asset."""


def of_notice(notice: Notice, active: dict[str, int]) -> list[Finding]:
    """The finding of a notice: raised once, updated while it is said again, cleared once; none if it never was active."""
    component = f"{notice.code}.{notice.subject}"
    known = active.get(component)
    if known is None and not notice.active:
        return []
    onset_ns = notice.at_ns if known is None else known
    if notice.active:
        active[component] = onset_ns
        action = Action.RAISE if known is None else Action.UPDATE
    else:
        del active[component]
        action = Action.CLEAR
    finding = Finding(
        id=hashlib.sha256(f"{component}|{notice.origin.trace_id}".encode()).hexdigest()[:32],
        asset=OWN_ASSET,
        component=component,
        family=Family.DATA_QUALITY,
        condition=notice.code,
        action=action,
        at_ns=notice.at_ns,
        onset_ns=onset_ns,
        severity=notice.severity,
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="pipeline",
        version="1",
        parameters_hash="",
        origin=notice.origin,
        text={"subject": notice.subject, "detail": notice.detail},
    )
    return [finding]


def kind_of(detector: Detector) -> str:
    """What a detector is called in the plant document."""
    return str(getattr(detector, "kind", type(detector).__name__))


def of_failure(asset_id: str, detector: Detector, event: Event, error: Exception) -> Finding:
    """A detector that raised: it is switched off for this asset, and that is said."""
    kind = kind_of(detector)
    at_ns = event.from_ns if isinstance(event, Gap) else event.origin.received_ns
    identity = f"detector_failed|{asset_id}|{kind}|{event.origin.trace_id}"
    return Finding(
        id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        asset=asset_id,
        component=kind,
        family=Family.DATA_QUALITY,
        condition="detector_failed",
        action=Action.RAISE,
        at_ns=at_ns,
        onset_ns=at_ns,
        severity=700,
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="pipeline",
        version="1",
        parameters_hash="",
        origin=event.origin,
        text={"detector": kind, "error": f"{type(error).__name__}: {error}"},
    )
