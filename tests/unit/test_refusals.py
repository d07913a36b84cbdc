"""Whatever ticketing refuses has a stable code with a status of its own, and words in both languages."""

import ast
from functools import cache
from pathlib import Path

import pytest

from api.catalogue import LANGUAGES, words_of
from api.problems import STATUS
from ticketing import errors
from ticketing.demands import Demand

ROOT = Path(__file__).parents[2]
CODED = {"DeedRefused", "PhotoRefused", "DeclarationRefused", "ReportRefused"}
"""Errors whose code is given where they are raised."""

BY_WHAT_IS_MISSING = {"step_refused", "fields_refused", "report_refused", "event_id_missing"}
"""Refusals that are told by their demands or fields, each in words of its own."""

OF_PROGRAMS = {"report_unreadable", "report_too_large", "idempotency_key_reused", "ticketing_error"}
"""What no page can meet: only a program sends such a body."""


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    texts = (path.read_text("utf-8") for path in (*ROOT.glob("ticketing/*.py"), *ROOT.glob("andon/*.py")))
    nodes = (
        node
        for text in texts
        if "Refused(" in text or "Missing(" in text
        for node in ast.walk(ast.parse(text))
    )
    return tuple(
        (node.func.id, node)
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )


def said_in(node: ast.expr) -> set[str]:
    return {
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def codes() -> set[str]:
    raised = {code for name, call in calls() if name in CODED and call.args for code in said_in(call.args[0])}
    known = vars(errors).values()
    own = {one.code for one in known if isinstance(one, type) and isinstance(getattr(one, "code", None), str)}
    return raised | own


def demands() -> set[str]:
    """What steps of a ticket lack, where the demand is written out."""
    named = {one.name: one.value for one in Demand}
    found = set()
    for name, call in calls():
        if name == "Missing" and call.args and isinstance(call.args[0], ast.Attribute):
            found.add(named.get(call.args[0].attr, ""))
    return found - {""}


def test_codes_are_found() -> None:
    assert {
        "alarm_not_found",
        "approval_pending",
        "stale_version",
        "photo_empty",
        "maintenance_begun",
    } <= codes()
    assert {"reason", "cause"} <= demands()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_code_has_words(language: str) -> None:
    words = words_of(language)  # type: ignore[arg-type]
    told = codes() - BY_WHAT_IS_MISSING - OF_PROGRAMS
    assert sorted(code for code in told if f"error.{code}" not in words) == []
    assert sorted(one for one in demands() if f"demand.{one}" not in words) == []


def test_each_code_has_a_status() -> None:
    assert sorted(codes() - STATUS.keys() - {"ticketing_error"}) == []
