"""An OPC UA server that nobody has described: what it says of itself becomes items, machines, units and a dry run."""

import asyncio
import json
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Server, ua

from andon.config import check
from andon.installation import free_port
from andon.plant import Plant
from ingest import opcua

URI = "urn:press-maker:line"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    """Two presses alike, with units, a range, a text, an alarm type of their own and more nodes than fit one browse."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{free_port()}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace(URI)
    line = await server.nodes.objects.add_folder(space, "Line 1")
    for name in ("Press-01", "Press-02"):
        press = await line.add_object(space, name)
        motor = await press.add_object(space, "Motor")
        heat = await motor.add_variable(space, "Temperature", 61.5)
        unit = ua.EUInformation(
            "http://www.opcfoundation.org/UA/units/un/cefact", 4408652, ua.LocalizedText("°C")
        )
        await heat.add_property(0, "EngineeringUnits", unit)
        await heat.add_property(0, "EURange", ua.Range(-40.0, 150.0))
        await press.add_variable(space, "Oil.Pressure", 4.5)
        await press.add_variable(space, "StateCurrent", 6, ua.VariantType.Int32)
        await press.add_variable(space, "OrderNumber", "A-77")
    many = await server.nodes.objects.add_folder(space, "Spare")
    for number in range(120):
        await many.add_object(space, f"Slot-{number:03}")
    alarm = server.get_node(ua.NodeId(ua.Int32(ua.ObjectIds.AlarmConditionType)))
    await alarm.add_object_type(space, "JamAlarmType")
    async with server:
        yield server.endpoint.geturl()


async def discover(url: str, folder: Path, *more: str) -> tuple[int | None, dict, str]:
    words = [
        "discover",
        url,
        "--security",
        "none",
        "--write",
        str(folder / "p.json"),
        "--json",
        str(folder / "f.json"),
    ]
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "andon",
        *words,
        *more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(running.communicate(), 40)
    found = folder / "f.json"
    return running.returncode, json.loads(found.read_text()) if found.exists() else {}, (out + err).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one look around wrote: p.json, p.toml and f.json."""
    folder = tmp_path_factory.mktemp("found")
    code, _, said = await discover(url, folder)
    assert code == 0, said
    return folder


async def test_a_server_that_describes_itself_needs_no_table_of_items(folder: Path) -> None:
    found = json.loads((folder / "f.json").read_text())
    items = {(item["asset"], item["channel"]): item["variable"] for item in found["items"] if item["channel"]}
    assert set(items) == {
        (press, channel)
        for press in ("Press-01", "Press-02")
        for channel in ("Motor/temperature", "Oil/pressure", "state")
    }
    heat = items["Press-01", "Motor/temperature"]
    assert (heat["unit"], heat["low"], heat["high"], heat["type_name"]) == ("°C", -40.0, 150.0, "Double")
    assert heat["node"].startswith(f"nsu={URI};i=")
    assert found["nodes"] > 120
    assert [kind["name"] for kind in found["event_types"] if kind["is_condition"]] == ["JamAlarmType"]
    assert [item["why"] for item in found["items"] if not item["channel"]] == ["a String is no number"] * 2
    values = {tuple(value) for outcome in found["dry_run"] for value in outcome["values"]}
    assert values == {("Motor/temperature", 61.5, "Cel"), ("Oil/pressure", 4.5, "bar"), ("state", 6.0, "")}


async def test_what_is_written_is_a_source_and_a_plant_that_andon_takes(folder: Path) -> None:
    document = tomllib.loads((folder / "p.toml").read_text())
    (source,) = document["sources"].values()
    assert source.pop("kind") == "opcua"
    assert len(check(opcua.Parameters, source, "p.toml").items) == 6
    plant = Plant.model_validate(json.loads((folder / "p.json").read_text()))
    assert [asset.path for asset in plant.assets] == ["Line 1", "Line 1"]


async def test_a_look_that_ends_early_says_so(url: str, tmp_path: Path) -> None:
    _, found, said = await discover(url, tmp_path, "--nodes", "20")
    assert found["cut_off"] == "more than 20 nodes"
    assert "not everything was seen" in said


async def test_a_server_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    code, _, said = await discover(f"opc.tcp://127.0.0.1:{free_port()}/", tmp_path)
    assert code == 1
    assert "Traceback" not in said
