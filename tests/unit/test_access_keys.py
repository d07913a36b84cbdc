"""Keys of programs: some of an account's rights, for a while, shown once; and how often one may ask."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select, update

from andon.access import accounts, audit, keys, speaking
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.roles import Right, Role
from andon.access.tables import keys as table
from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS
from api.pace import Pace
from tests.stores import Stores

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NOW = 1_773_300_000_000_000_000
BY = By("chen", NOW)


@pytest.fixture
def database(stores: Stores) -> Engine:
    """A store where li is a planner of one area."""
    database = stores.open()
    with writing(database) as conn:
        for name, role in (("chen", Role.ADMINISTRATOR), ("li", Role.PLANNER)):
            accounts.create(
                conn, name, roles=[role], places=["acme/east"], must_change=False, by=BY, hasher=QUICK
            )
    return database


def made(database: Engine, *rights: Right, days: float = 30) -> str:
    with writing(database) as conn:
        return keys.add(conn, "li", name="MES", rights=rights or [Right.READ], days=days, by=BY)


def test_a_key_speaks_for_its_owner_with_the_rights_it_was_given(database: Engine) -> None:
    key = made(database, Right.READ, Right.PLAN)
    assert key.startswith("andon_")
    found = speaking.by_key(database, key, NOW)
    assert found is not None
    assert (found.principal.actor, found.principal.places) == ("li", ("acme/east",))
    assert found.principal.rights == {Right.READ, Right.PLAN}
    assert not found.principal.acts_for_anybody


def test_only_the_hash_of_a_key_is_kept(database: Engine) -> None:
    key = made(database)
    with reading(database) as conn:
        row = conn.execute(select(table)).one()
        said = str(audit.recent(conn, 10))
    assert key not in str(row)
    assert key[6:] not in said
    assert key.startswith(row.prefix)
    assert len(row.prefix) < 16
    assert speaking.by_key(database, row.token_hash, NOW) is None


def test_a_key_has_no_right_that_its_account_has_not(database: Engine) -> None:
    for rights in ([Right.ADMINISTER], [Right.READ, Right.STOCK], [Right.SELF], []):
        with pytest.raises(AccessRefused) as error, writing(database) as conn:
            keys.add(conn, "li", name="MES", rights=rights, days=30, by=BY)
        assert error.value.code == "key_rights"


def test_no_key_keeps_accounts_not_even_one_of_an_administrator_made_before(database: Engine) -> None:
    with pytest.raises(AccessRefused) as error, writing(database) as conn:
        keys.add(conn, "chen", name="MES", rights=[Right.READ, Right.ADMINISTER], days=30, by=BY)
    assert error.value.code == "key_rights"
    with writing(database) as conn:
        key = keys.add(conn, "chen", name="MES", rights=[Right.READ], days=30, by=BY)
        conn.execute(update(table).values(rights=["administer", "read"]))
    found = speaking.by_key(database, key, NOW)
    assert found is not None
    assert found.principal.rights == {Right.READ}


def test_a_key_loses_what_its_account_loses(database: Engine) -> None:
    key = made(database, Right.READ, Right.PLAN)
    with writing(database) as conn:
        accounts.set_roles(conn, "li", [Role.VIEWER], BY)
    found = speaking.by_key(database, key, NOW)
    assert found is not None
    assert found.principal.rights == {Right.READ}


@pytest.mark.parametrize(("days", "code"), [(0, "key_days"), (367, "key_days"), (float("nan"), "key_days")])
def test_a_key_expires_within_a_year(database: Engine, days: float, code: str) -> None:
    with pytest.raises(AccessRefused) as error:
        made(database, days=days)
    assert error.value.code == code


def test_an_expired_or_revoked_key_works_no_more(database: Engine) -> None:
    key, other = made(database, days=1), made(database)
    assert speaking.by_key(database, key, NOW + 24 * HOUR_NS - 1) is not None
    assert speaking.by_key(database, key, NOW + 24 * HOUR_NS) is None
    assert speaking.by_key(database, other, NOW) is not None
    with writing(database) as conn:
        keys.revoke(conn, 2, BY)
    assert speaking.by_key(database, other, NOW) is None
    with reading(database) as conn:
        assert audit.recent(conn, 1)[0]["action"] == "key_revoked"


def test_keys_of_a_disabled_account_stay_revoked(database: Engine) -> None:
    key = made(database)
    with writing(database) as conn:
        accounts.disable(conn, "li", BY)
    assert speaking.by_key(database, key, NOW) is None
    with writing(database) as conn:
        accounts.enable(conn, "li", BY)
    assert speaking.by_key(database, key, NOW) is None


def test_an_account_with_its_first_password_has_no_working_keys(database: Engine) -> None:
    key = made(database)
    with writing(database) as conn:
        accounts.reset(conn, "li", BY, QUICK)
    assert speaking.by_key(database, key, NOW) is None


def test_the_last_use_is_noted_to_the_minute(database: Engine) -> None:
    key = made(database)
    for at_ns in (NOW, NOW + 1, NOW + MINUTE_NS):
        speaking.by_key(database, key, at_ns)
        with reading(database) as conn:
            used_ns = keys.of(conn, "li")[0].used_ns
        assert used_ns == (NOW if at_ns < NOW + MINUTE_NS else at_ns)


def test_nobody_revokes_the_key_of_another_account(database: Engine) -> None:
    made(database)
    with writing(database) as conn, pytest.raises(AccessRefused, match="no key 1"):
        keys.revoke(conn, 1, BY, "chen")


def test_a_pace_bounds_each_speaker_alone_and_fills_up_again() -> None:
    now_s = 0.0
    pace = Pace(60, burst=3, clock=lambda: now_s)
    assert [pace.wait_s("chen") for _ in range(4)] == [0, 0, 0, 1]
    assert pace.wait_s("li") == 0
    now_s = 1.0
    assert [pace.wait_s("chen") for _ in range(2)] == [0, 1]


def test_a_pace_remembers_a_bounded_number_of_speakers() -> None:
    pace = Pace(60, burst=1, clock=lambda: 0.0)
    for number in range(25_000):
        assert pace.wait_s(f"address {number}") == 0
    assert len(pace._left) <= 10_000
    assert pace.wait_s("address 24999") == 1
