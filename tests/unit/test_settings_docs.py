"""docs/configuration.md has every setting of andon.toml with its default, and no other."""

import importlib
import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from andon.channels import kinds
from andon.config import Config, Influx, Keeping, Notify, Secret, Series, Source, Store, Web, check
from ingest import listener, mqtt, opcua
from ingest.credentials import User
from ingest.opcua_items import Item
from ingest.sparkplug_voice import HostRole
from ticketing.notify.smtp import Inbox

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
CHANNELS = [(kind, importlib.import_module(f"ticketing.notify.{kind}").Parameters) for kind in kinds()]
PLACES: list[tuple[str, type[BaseModel]]] = [
    ("The file", Config),
    ("source", Source),
    ("journal", Keeping),
    ("series", Series),
    ("influx", Influx),
    ("store", Store),
    ("notify", Notify),
    ("notify secret", Secret),
    *((f"notify {kind}", parameters) for kind, parameters in CHANNELS if parameters.model_fields),
    ("notify smtp inbox", Inbox),
    ("web", Web),
    ("listener", listener.Parameters),
    ("listener users", User),
    ("listener tls", listener.Tls),
    ("listener sparkplug", HostRole),
    ("mqtt", mqtt.Parameters),
    ("mqtt tls", mqtt.Tls),
    ("mqtt sparkplug", HostRole),
    ("opcua", opcua.Parameters),
    ("opcua items", Item),
    ("opcua events", opcua.Events),
]


@cache
def page() -> dict[str, dict[str, str]]:
    """Per heading the settings of its table and their defaults; `listener tls` stands under `listener`."""
    found: dict[str, dict[str, str]] = {}
    chapter = place = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"(##+) (.+)", line):
            chapter = heading[2] if heading[1] == "##" else chapter
            place = chapter if heading[1] == "##" else f"{chapter} {heading[2]}"
        elif row := re.match(r"\| `(\w+)` \| (.+?) \|", line):
            found.setdefault(place, {})[row[1]] = row[2]
    return found


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel) or value in ({}, ()):
        return "empty"
    if isinstance(value, tuple) and isinstance(value[0], BaseModel):
        return "the product's own"
    if isinstance(value, bool | tuple):
        return f"`{json.dumps(value, ensure_ascii=False)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


@pytest.mark.parametrize(("place", "model"), PLACES, ids=[place for place, _ in PLACES])
def test_each_setting_is_written_down_with_its_default(place: str, model: type[BaseModel]) -> None:
    wanted = {name: default_of(field) for name, field in model.model_fields.items()}
    assert page()[place] == wanted


def test_no_table_is_about_something_else() -> None:
    assert set(page()) == {place for place, _ in PLACES}


def test_the_example_is_valid_but_for_its_password() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    salt_and_hash = "c2FsdA==$aGFzaA=="
    document = tomllib.loads(example.replace("$…", f"${salt_and_hash}"))
    config = check(Config, document, "example")
    kinds = {"listener": listener.Parameters, "mqtt": mqtt.Parameters, "opcua": opcua.Parameters}
    for name, source in config.sources.items():
        check(kinds[source.kind], source.parameters, name)
