"""Accounts, their passwords, and how failed attempts keep others out: on both databases, at times that are passed in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import DatabaseError

from andon.access import accounts, attempts, audit, passwords, sessions
from andon.access.audit import By
from andon.access.errors import AccessRefused, SignInRefused
from andon.access.roles import Role
from andon.access.signing_in import Desk
from andon.access.tables import accounts as table
from andon.access.tables import deeds
from andon.access.tables import sessions as session_table
from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from tests.stores import Stores

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = "three red pumps"
NOW = 1_773_300_000_000_000_000
HERE, THERE = "10.0.0.7", "10.0.0.8"


@dataclass
class Counted(PasswordHasher):
    """The quick hasher, which remembers what it was asked to verify."""

    def __post_init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str | bytes] = []

    __hash__ = object.__hash__

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - as its parent says
        self.verified.append(hash)
        return super().verify(hash, password)


@pytest.fixture
def desk(stores: Stores) -> Desk:
    """Where chen, an administrator, and li, a technician of one area, sign in."""
    database = stores.open()
    with writing(database) as conn:
        for name, role, places in (
            ("chen", Role.ADMINISTRATOR, ()),
            ("li", Role.TECHNICIAN, ("acme/east/",)),
        ):
            accounts.create(
                conn,
                name,
                roles=[role],
                places=places,
                password=SECRET,
                must_change=False,
                by=By("init", NOW),
                hasher=QUICK,
            )
    return Desk(database, hasher=QUICK)


def sign_in(desk: Desk, name: str, password: str, now_ns: int = NOW, address: str = HERE) -> str:
    return desk.sign_in(name, password, now_ns=now_ns, address=address)


def refused(desk: Desk, name: str, password: str, now_ns: int = NOW, address: str = HERE) -> SignInRefused:
    with pytest.raises(SignInRefused) as error:
        sign_in(desk, name, password, now_ns, address)
    return error.value


def log_of(database: Engine) -> Sequence[str]:
    with reading(database) as conn:
        return [row["action"] for row in reversed(audit.recent(conn, 100))]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short one", "password_short"),
        ("x" * 257, "password_long"),
        ("my name is Chen", "password_is_name"),
        ("password12345", "password_common"),
        ("P@ssw0rd2026", "password_common"),
        ("aaaaaaaaaaaaaaaa", "password_common"),
        ("1234567890123456", "password_common"),
    ],
)
def test_a_password_that_is_tried_early_is_refused(password: str, code: str) -> None:
    with pytest.raises(AccessRefused) as error:
        passwords.check(password, "chen")
    assert error.value.code == code


@pytest.mark.parametrize(
    "password", [SECRET, "correct horse battery", "三台红色的水泵在二号线旁边", "8392749102746"]
)
def test_nothing_is_asked_of_how_a_password_is_composed(password: str) -> None:
    passwords.check(password, "chen")


def test_random_passwords_differ_and_pass_their_own_rules() -> None:
    many = {passwords.random_password() for _ in range(50)}
    assert len(many) == 50
    for one in many:
        passwords.check(one, "chen")


def test_the_same_password_is_right_from_any_keyboard() -> None:
    kept = passwords.hashed("fünf rote pumpen", QUICK)
    assert passwords.is_right("fünf rote pumpen", kept, QUICK)
    assert not passwords.is_right("funf rote pumpen", kept, QUICK)


def test_only_an_argon2id_hash_is_kept(desk: Desk) -> None:
    with reading(desk.database) as conn:
        kept = conn.execute(select(table.c.secret_hash)).scalars().all()
        assert all(one.startswith("$argon2id$") for one in kept)
        assert len(set(kept)) == 2  # the same password, another salt
        everything = str(conn.execute(select(table)).all()) + str(conn.execute(select(deeds)).all())
    assert SECRET not in everything


def test_the_parameters_that_ship_are_those_of_rfc_9106() -> None:
    assert (passwords.HASHER.memory_cost, passwords.HASHER.time_cost) == (64 * 1024, 3)
    assert passwords.HASHER.type.name == "ID"


def test_a_session_is_found_by_its_token_which_is_not_kept(desk: Desk) -> None:
    token = sign_in(desk, "li", SECRET)
    with reading(desk.database) as conn:
        found = sessions.find(conn, token, NOW, desk.lifetimes)
        kept = conn.execute(select(session_table.c.token_hash)).scalar_one()
    assert found is not None
    assert (found.person, found.roles, found.places) == ("li", ("technician",), ("acme/east",))
    assert token not in kept
    with reading(desk.database) as conn:
        assert sessions.find(conn, kept, NOW, desk.lifetimes) is None  # what is kept opens nothing


def test_a_wrong_name_is_refused_like_a_wrong_password_and_costs_the_same(desk: Desk) -> None:
    hasher = Counted()
    counted = Desk(desk.database, hasher=hasher)
    passwords.is_right("x", None, hasher)  # the decoy is made
    hasher.verified.clear()
    wrong_name = refused(counted, "nobody", SECRET)
    wrong_password = refused(counted, "chen", "four blue valves")
    assert len(hasher.verified) == 2
    assert (wrong_name.code, str(wrong_name)) == (wrong_password.code, str(wrong_password))


def test_five_failures_make_the_next_try_wait_and_each_more_doubles_it(desk: Desk) -> None:
    for _ in range(5):
        assert refused(desk, "li", "wrong").code == "sign_in_wrong"
    now_ns, waits = NOW, []
    for _ in range(3):
        locked = refused(desk, "li", SECRET, now_ns, THERE)  # the right password too, from elsewhere too
        assert locked.code == "sign_in_locked"
        assert locked.until_ns is not None
        waits.append((locked.until_ns - now_ns) // MINUTE_NS)
        now_ns = locked.until_ns
        assert refused(desk, "li", "wrong", now_ns, THERE).code == "sign_in_wrong"
    assert waits == [1, 2, 4]
    with reading(desk.database) as conn:
        assert accounts.find(conn, "li", now_ns).locked_until_ns == now_ns + 8 * MINUTE_NS
        assert accounts.find(conn, "chen", now_ns).locked_until_ns is None


def test_a_name_that_nobody_has_is_locked_in_the_same_words(desk: Desk) -> None:
    said = []
    for name in ("li", "nobody"):
        for _ in range(5):
            refused(desk, name, "wrong")
        said.append(refused(desk, name, "wrong"))
    assert (said[0].code, str(said[0]), said[0].until_ns) == (said[1].code, str(said[1]), said[1].until_ns)


def test_one_address_that_tries_many_names_has_to_wait(desk: Desk) -> None:
    for number in range(20):
        assert refused(desk, f"name-{number}", "wrong").code == "sign_in_wrong"
    assert refused(desk, "chen", SECRET).code == "sign_in_locked"
    sign_in(desk, "chen", SECRET, address=THERE)


def test_the_right_password_after_the_wait_forgets_the_failures(desk: Desk) -> None:
    for _ in range(5):
        refused(desk, "li", "wrong")
    sign_in(desk, "li", SECRET, NOW + MINUTE_NS)
    for _ in range(4):
        assert refused(desk, "li", "wrong", NOW + MINUTE_NS).code == "sign_in_wrong"
    sign_in(desk, "li", SECRET, NOW + MINUTE_NS)


def test_an_address_does_not_buy_tries_with_an_account_of_its_own(desk: Desk) -> None:
    for number in range(20):
        refused(desk, f"name-{number}", "wrong", NOW + number)
        if number < 19:
            sign_in(desk, "chen", SECRET, NOW + number)
    assert refused(desk, "name-x", "wrong", NOW + 30).code == "sign_in_locked"


def test_a_shared_address_is_forgotten_after_a_quiet_quarter_of_an_hour_and_a_name_is_not(desk: Desk) -> None:
    for number in range(20):
        refused(desk, "li" if number < 4 else f"name-{number}", "wrong")
    later_ns = NOW + 15 * MINUTE_NS + 1
    for number in range(19):
        assert refused(desk, f"other-{number}", "wrong", later_ns).code == "sign_in_wrong"
    sign_in(desk, "chen", SECRET, later_ns)
    refused(desk, "li", "wrong", later_ns, THERE)
    assert refused(desk, "li", SECRET, later_ns, THERE).code == "sign_in_locked"


def test_a_try_is_counted_before_it_is_judged(desk: Desk) -> None:
    with writing(desk.database) as conn:
        begun = [attempts.begin(conn, "li", "", NOW) for _ in range(6)]  # six at once, none judged yet
    assert begun[:5].count(None) == 5
    assert begun[5] == NOW + MINUTE_NS


def test_an_unlocked_account_may_be_tried_at_once(desk: Desk) -> None:
    for _ in range(5):
        refused(desk, "li", "wrong")
    with writing(desk.database) as conn:
        accounts.unlock(conn, "li", By("chen", NOW))
    sign_in(desk, "li", SECRET)


def test_who_is_unlocked_comes_in_at_an_address_that_somebody_guessed_from(desk: Desk) -> None:
    for number in range(20):
        refused(desk, f"name-{number}", "wrong")
    assert refused(desk, "li", SECRET).code == "sign_in_locked"
    with writing(desk.database) as conn:
        accounts.unlock(conn, "li", By("chen", NOW))
    sign_in(desk, "li", SECRET)


def test_a_disabled_account_is_refused_as_if_it_were_not_there(desk: Desk) -> None:
    token = sign_in(desk, "li", SECRET)
    with writing(desk.database) as conn:
        accounts.disable(conn, "li", By("chen", NOW))
        assert sessions.find(conn, token, NOW, desk.lifetimes) is None
    assert refused(desk, "li", SECRET).code == "sign_in_wrong"
    with writing(desk.database) as conn:
        accounts.enable(conn, "li", By("chen", NOW))
    sign_in(desk, "li", SECRET)


def test_parameters_of_another_day_are_replaced_at_the_next_sign_in(desk: Desk) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    Desk(desk.database, hasher=stronger).sign_in("li", SECRET, now_ns=NOW)
    with reading(desk.database) as conn:
        kept = conn.execute(select(table.c.secret_hash).where(table.c.id == "li")).scalar_one()
    assert "m=16,t=2,p=1" in kept
    sign_in(desk, "li", SECRET)


def test_a_session_ends_when_it_is_idle_and_in_any_case_after_a_while(desk: Desk) -> None:
    token, idle_ns, whole_ns = sign_in(desk, "li", SECRET), desk.lifetimes.idle_ns, desk.lifetimes.whole_ns

    def stands(now_ns: int) -> bool:
        with reading(desk.database) as conn:
            return sessions.find(conn, token, now_ns, desk.lifetimes) is not None

    assert stands(NOW + idle_ns - 1)
    assert not stands(NOW + idle_ns)
    now_ns = NOW
    while now_ns < NOW + whole_ns - 8 * HOUR_NS:
        now_ns += 8 * HOUR_NS
        with writing(desk.database) as conn:
            sessions.seen(conn, 1, now_ns)
        assert stands(now_ns)
    assert not stands(NOW + whole_ns)


def test_a_changed_password_ends_every_session_but_the_one_that_begins(desk: Desk) -> None:
    elsewhere, here = sign_in(desk, "li", SECRET), sign_in(desk, "li", SECRET)
    by = By("li", NOW + SECOND_NS, "web", HERE)
    fresh = desk.change("li", SECRET, "four blue valves", by=by)
    with reading(desk.database) as conn:
        stands = [
            sessions.find(conn, one, NOW, desk.lifetimes) is not None for one in (elsewhere, here, fresh)
        ]
    assert stands == [False, False, True]
    assert refused(desk, "li", SECRET).code == "sign_in_wrong"
    sign_in(desk, "li", "four blue valves")


def test_who_guesses_at_the_old_password_on_the_page_to_change_it_is_locked_out_too(desk: Desk) -> None:
    by = By("li", NOW, "web", HERE)
    codes = []
    for _ in range(6):
        with pytest.raises(SignInRefused) as error:
            desk.change("li", "wrong", "four blue valves", by=by)
        codes.append(error.value.code)
    assert codes == ["sign_in_wrong"] * 5 + ["sign_in_locked"]


@pytest.mark.parametrize(
    ("new", "code"),
    [(SECRET, "password_same"), ("pumps of li are red", "password_is_name"), ("short", "password_short")],
)
def test_a_new_password_is_another_and_a_good_one(desk: Desk, new: str, code: str) -> None:
    with pytest.raises(AccessRefused) as error:
        desk.change("li", SECRET, new, by=By("li", NOW, "web", HERE))
    assert error.value.code == code
    sign_in(desk, "li", SECRET)


def test_a_reset_password_is_new_ends_the_sessions_and_is_to_be_changed(desk: Desk) -> None:
    token = sign_in(desk, "li", SECRET)
    with writing(desk.database) as conn:
        secret = accounts.reset(conn, "li", By("chen", NOW), QUICK)
        assert sessions.find(conn, token, NOW, desk.lifetimes) is None
    assert refused(desk, "li", SECRET).code == "sign_in_wrong"
    fresh = sign_in(desk, "li", secret)
    with reading(desk.database) as conn:
        found = sessions.find(conn, fresh, NOW, desk.lifetimes)
    assert found is not None
    assert found.must_change


def test_other_roles_or_places_end_the_sessions(desk: Desk) -> None:
    for change in (
        lambda conn: accounts.set_roles(conn, "li", [Role.PLANNER], By("chen", NOW)),
        lambda conn: accounts.set_places(conn, "li", ["acme/west"], By("chen", NOW)),
    ):
        token = sign_in(desk, "li", SECRET)
        with writing(desk.database) as conn:
            change(conn)
            assert sessions.find(conn, token, NOW, desk.lifetimes) is None
    with reading(desk.database) as conn:
        li = accounts.find(conn, "li", NOW)
    assert (li.roles, li.places) == ((Role.PLANNER,), ("acme/west",))


def test_the_last_administrator_stays_one(desk: Desk) -> None:
    with writing(desk.database) as conn:
        for take_away in (
            lambda: accounts.disable(conn, "chen", By("li", NOW)),
            lambda: accounts.set_roles(conn, "chen", [Role.VIEWER], By("li", NOW)),
        ):
            with pytest.raises(AccessRefused, match="only administrator"):
                take_away()
        accounts.set_roles(conn, "li", [Role.ADMINISTRATOR], By("chen", NOW))
        accounts.disable(conn, "chen", By("li", NOW))


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 65, "Chen", "chen"])
def test_a_name_is_one_that_the_plant_could_have_given_and_is_given_once(desk: Desk, name: str) -> None:
    with writing(desk.database) as conn, pytest.raises(AccessRefused) as error:
        accounts.create(conn, name, roles=[Role.VIEWER], by=By("chen", NOW), hasher=QUICK)
    assert error.value.code in {"account_name", "account_exists"}


def test_every_deed_is_on_record_with_who_did_it(desk: Desk) -> None:
    refused(desk, "li", "wrong")
    token = sign_in(desk, "li", SECRET)
    with reading(desk.database) as conn:
        found = sessions.find(conn, token, NOW, desk.lifetimes)
    assert found is not None
    desk.sign_out(found.session.id, "li", By("li", NOW, "web", HERE))
    with writing(desk.database) as conn:
        accounts.set_roles(conn, "li", [Role.PLANNER], By("chen", NOW))
    assert log_of(desk.database) == [
        *("account_made", "account_made", "sign_in_refused", "signed_in", "session_ended", "roles_set"),
    ]
    with reading(desk.database) as conn:
        last = audit.recent(conn, 1)[0]
        assert audit.first_break(conn) is None
    assert (last["actor"], last["account"]) == ("chen", "li")
    assert json.loads(last["facts"]) == {"before": ["technician"], "after": ["planner"]}


def test_what_was_typed_as_a_name_that_nobody_has_is_not_on_record(desk: Desk) -> None:
    refused(desk, "my password by mistake", "x")
    with reading(desk.database) as conn:
        rows = str(audit.recent(conn, 10)) + str(conn.execute(text("SELECT * FROM access_attempt")).all())
    assert "mistake" not in rows


def test_the_record_cannot_be_changed_and_shows_a_line_that_was_put_in(desk: Desk) -> None:
    for words in ("UPDATE access_event SET actor = 'x'", "DELETE FROM access_event"):
        with pytest.raises(DatabaseError, match="append-only"), writing(desk.database) as conn:
            conn.execute(text(words))
    with writing(desk.database) as conn:
        last = dict(audit.recent(conn, 1)[0])
        conn.execute(insert(deeds).values(last | {"seq": last["seq"] + 1, "prev_hash": last["hash"]}))
        assert audit.first_break(conn) == last["seq"] + 1
