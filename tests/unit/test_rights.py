"""docs/rights.md is what the routes ask for, and no role has less or more than its work needs."""

from pathlib import Path

import pytest

from andon.access.roles import RIGHTS, Principal, Right, Role, rights_of
from api.app import create_app
from tests import rights
from tests.shop_floor import ShopFloor


def test_the_page_is_what_make_rules_writes(tmp_path: Path) -> None:
    page = rights.page(create_app(ShopFloor(tmp_path).context))
    assert rights.TABLE.read_text("utf-8") == page, "run `make rules`"


def test_each_right_is_somebodys_and_only_the_administrator_has_all() -> None:
    assert rights_of(set(Role) - {Role.ADMINISTRATOR}) == set(Right) - {Right.ADMINISTER}
    assert [role for role in Role if RIGHTS[role] == set(Right)] == [Role.ADMINISTRATOR]
    assert RIGHTS[Role.DEVICE] == frozenset()


@pytest.mark.parametrize(
    ("roles", "places", "seen"),
    [
        ({Role.PLANNER}, (), True),
        ({Role.PLANNER}, ("acme/west",), False),
        ({Role.PARTNER}, (), False),
        ({Role.PARTNER, Role.VIEWER}, (), False),
        ({Role.PARTNER}, ("acme/east",), True),
        ({Role.VIEWER}, ("acme/west", "acme/east/press"), True),
        ({Role.VIEWER}, ("acme/east/press/",), True),
        ({Role.VIEWER}, ("acme/east/pre",), False),
    ],
)
def test_places_bound_what_is_seen_and_a_partner_sees_nothing_without(
    roles: set[Role], places: tuple[str, ...], seen: bool
) -> None:
    principal = Principal("x", frozenset(roles), rights_of(roles), places)
    assert principal.sees("acme/east/press/L1/c1") is seen
