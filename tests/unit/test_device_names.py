"""Devices: who may be one, where it may publish, and what becomes of names and topics that are meant to widen that."""

import json
import random
import stat
import string
from pathlib import Path

import pytest
from pydantic import ValidationError

from andon.config import ConfigError
from ingest.credentials import Rights, User
from ingest.devices import Device, Roll, check_name, load, save
from tests.listening import CHEAP_HASH

PRESS = Device(password=CHEAP_HASH, topics=("acme/+/press7",))


def hostile_names(count: int) -> list[str]:
    """Names that hold what means something in a topic, a path or a log."""
    rng = random.Random(5)  # noqa: S311 - chosen, not secret
    bad = [*"+#/$\\ \0\n\r\t%{}*?;:'\"<>|&@é漢", "..", "../", "/+/", "$SYS", "\u202e", "．．", "＋", ""]
    letters = string.ascii_letters + string.digits
    made = []
    while len(made) < count:
        word = "".join(rng.choices(letters, k=rng.randrange(6)))
        evil = bad[len(made) % len(bad)]
        made.append(word[: len(word) // 2] + evil + word[len(word) // 2 :] if evil else "." + word)
    return made


@pytest.mark.parametrize("name", [*hostile_names(100), "", ".", "a" * 65, "-x", "x.", "x..y"])
def test_a_hostile_name_is_no_device(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot name a device"):
        check_name(name)
    path = tmp_path / "floor.json"
    path.write_text(json.dumps({name: PRESS.model_dump()}), "utf-8")
    with pytest.raises(ConfigError, match="cannot name a device"):
        load(path)


@pytest.mark.parametrize("name", ["press7", "L1-PRS-01", "press_7.north", "7", "a" * 64])
def test_a_plain_name_is_one(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "topic",
    ["#", "acme/#", "acme/press+", "+", "+/+", "/", "", "$SYS/x", "a/../b", "./a", "a\0b", "a\n", "x" * 513],
)
def test_a_topic_that_would_grant_more_than_it_says_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError, match="no place to publish"):
        User(password=CHEAP_HASH, topics=(topic,))


def test_a_device_without_a_place_is_refused() -> None:
    with pytest.raises(ValidationError):
        Device(password=CHEAP_HASH, topics=())


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        (b"acme/east/press7", True),
        (b"acme/east/press7/state", True),
        (b"acme/east/press70/state", False),
        (b"acme/east/west/press7/state", False),
        (b"acme//press7/state", False),
        (b"acme/$SYS/press7/state", False),
        (b"acme/../press7/state", False),
        (b"acme/east/press7/../press8/state", False),
        (b"acme/east", False),
        (b"other/east/press7", False),
        (b"ACME/east/press7", False),
    ],
)
def test_a_plus_is_one_level_with_a_name(topic: bytes, allowed: bool) -> None:
    assert Rights(PRESS.topics).allow(topic) == allowed


def test_a_first_level_of_the_brokers_own_is_never_meant() -> None:
    assert not Rights(["+/press7"]).allow(b"$SYS/press7")
    assert not Rights(["+/press7"]).allow(b"../press7")


def test_the_file_is_for_its_owner_alone_and_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "devices" / "floor.json"
    save(path, {"press7": PRESS})
    assert load(path) == {"press7": PRESS}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "secret" not in path.read_text()


def test_a_file_that_breaks_leaves_the_devices_as_they_were_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    save(path, {"press7": PRESS})
    roll = Roll(path)
    path.write_text("{", "utf-8")
    roll.look()
    assert (list(roll.devices), "cannot be read" in str(roll.error)) == (["press7"], True)
    save(path, {})
    roll.look()
    assert (roll.devices, roll.error) == ({}, None)
