"""Settings that would not be safe, or could not work, are refused with what to change; and what a source may load."""

import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from andon.config import ConfigError, check
from ingest import listener, mqtt
from tests.listening import CHEAP_HASH

USERS = {"press": {"password": CHEAP_HASH}}
TLS = {"certificate": "c.pem", "key": "k.pem"}
BROKER = {"host": "broker", "client_id": "andon"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"users": USERS, "host": "0.0.0.0"}, "give tls"),  # noqa: S104
        ({"users": USERS, "host": "::"}, "give tls"),
        ({"users": USERS, "host": "plant.example"}, "give tls"),
        ({"anonymous": True, "host": "192.0.2.1", "tls": TLS}, "loopback only"),
        ({"users": {"press": {}}}, "no way to know press"),
        ({"users": {"press": {}}, "tls": TLS}, "no way to know press"),
        ({"users": USERS, "prot": 1}, "did you mean 'port'"),
        ({"users": USERS, "port": 70_000}, "port"),
    ],
)
def test_a_listener_that_is_not_safe_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(listener.Parameters, settings, "source floor")


@pytest.mark.parametrize(
    "settings",
    [
        {"users": USERS},
        {"anonymous": True},
        {"users": USERS, "host": "::1"},
        {"users": USERS, "host": "localhost"},
        {"users": USERS, "host": "0.0.0.0", "tls": TLS},  # noqa: S104
        {"users": {"press": {}}, "tls": {**TLS, "client_ca": "ca.pem"}},
    ],
)
def test_a_listener_that_is_safe_is_taken(settings: dict[str, object]) -> None:
    assert check(listener.Parameters, settings, "source floor").port == 1883


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "broker"}, "client_id"),
        ({**BROKER, "password_file": "p", "user": "u", "password_env": "P"}, "not both"),
        ({**BROKER, "password_file": "p"}, "needs a user"),
        ({**BROKER, "password": "secret"}, "password"),
        ({**BROKER, "tls": {"certificate": "c.pem"}}, "belong together"),
        ({**BROKER, "topics": []}, "topics"),
        ({**BROKER, "qos": 2}, "qos"),
    ],
)
def test_a_collector_that_could_not_work_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(mqtt.Parameters, settings, "source broker")


@pytest.mark.parametrize("module", [listener, mqtt])
def test_every_setting_says_what_it_is(module: object) -> None:
    fields = module.Parameters.model_fields  # type: ignore[attr-defined]
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_names_of_paho_that_are_not_promised_are_there() -> None:
    message = paho.MQTTMessage(topic=b"\xff")
    assert message._topic == b"\xff"  # type: ignore[attr-defined]
    assert callable(paho.Client._ssl_wrap_socket)


@pytest.mark.parametrize("module", ["ingest.listener", "ingest.mqtt"])
def test_a_source_loads_nothing_heavy(module: str) -> None:
    heavy = "scipy river sqlalchemy pandas asyncua fastapi msgspec"
    script = f"import sys, {module}; print(*[name for name in '{heavy}'.split() if name in sys.modules])"
    root = Path(__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert said.stdout.split() == []
