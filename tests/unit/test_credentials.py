"""Who may come in, and where they may publish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.credentials import Doorkeeper, Rights, User, hash_password

LEVELS = st.lists(st.sampled_from(["a", "b", "ab", "m7", "m70"]), min_size=1, max_size=4).map("/".join)


def keeper(**users: str | None) -> Doorkeeper:
    hashed = {
        name: User(password=hash_password(word, log_cost=4) if word else None) for name, word in users.items()
    }
    return Doorkeeper(hashed)


def test_a_password_is_right_or_wrong() -> None:
    doorkeeper = keeper(press="secret", gate=None)
    assert doorkeeper.check("press", b"secret")
    assert not doorkeeper.check("press", b"Secret")
    assert not doorkeeper.check("press", b"")
    assert not doorkeeper.check("press", None)
    assert not doorkeeper.check("nobody", b"secret")
    assert not doorkeeper.check(None, b"secret")
    assert not doorkeeper.check("gate", b"")  # by certificate only


def test_a_password_that_was_right_is_known_again_and_no_other() -> None:
    doorkeeper = keeper(press="secret", pump="secret")
    assert not doorkeeper.welcomes("press", b"secret")
    assert doorkeeper.check("press", b"secret")
    assert doorkeeper.welcomes("press", b"secret")
    assert not doorkeeper.welcomes("press", b"wrong")
    assert not doorkeeper.welcomes("press", None)
    assert not doorkeeper.welcomes("pump", b"secret")
    assert not doorkeeper.welcomes(None, None)


def test_every_hash_has_its_own_salt_and_the_form_that_is_documented() -> None:
    first, second = (hash_password("secret", log_cost=4) for _ in range(2))
    assert first != second
    assert first.startswith("scrypt$ln=4,r=8,p=1$")
    assert hash_password("secret").startswith("scrypt$ln=14,r=8,p=1$")
    assert "secret" not in repr(User(password=first))


@pytest.mark.parametrize(
    "stored", ["secret", "", "scrypt$ln=4,r=8,p=1$$", "plain$secret", "scrypt$ln=x,r=8,p=1$aa==$aa=="]
)
def test_a_password_that_is_not_a_hash_is_refused(stored: str) -> None:
    with pytest.raises(ValidationError):
        User(password=stored)


@given(st.lists(LEVELS, max_size=3), LEVELS)
def test_rights_are_whole_levels(allowed: list[str], topic: str) -> None:
    levels = topic.split("/")
    expected = not allowed or any(levels[: len(mine.split("/"))] == mine.split("/") for mine in allowed)
    assert Rights(allowed).allow(topic.encode()) == expected


def test_rights_with_and_without_a_slash_are_the_same() -> None:
    assert Rights(["a/b/"]).allow(b"a/b/c")
    assert not Rights(["a/b/"]).allow(b"a/bc")
    assert not Rights(["a/b"]).allow(b"\xff")
