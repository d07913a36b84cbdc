"""Dashboards and alerts over a real installation: its /metrics fetched by a real VictoriaMetrics, every query asked there."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from andon.installation import free_port
from ingest.credentials import hash_password
from tests.dashboards import DEPLOY, asked, boards, families, named
from tests.victoria import Victoria

ROOT = Path(__file__).parents[2]
PATIENCE_S = 100.0
pytestmark = pytest.mark.timeout(400)
MACHINE = "andon/v1/e/s/a/L1/c/M7"
PLANT = {
    "name": "workshop",
    "assets": [
        {
            "id": "M7",
            "name": "Lathe",
            "asset_class": "lathe",
            "path": "e/s/a/L1/c",
            "points": [{"id": "DE", "component": "bearing", "quantities": {"temperature": "Cel"}}],
        }
    ],
    "classes": {"lathe": [{"kind": "stop_alarm"}]},
}
NOT_YET = {
    "andon_gaps_open": "nothing is missing",
    "andon_timers_failed": "nothing was given up",
    "andon_channel_canary_age_seconds": "a file gets no canary",
    "andon_triage_seconds": "nothing was decided in the inbox",
}
"""Metrics without a value in an installation that is well and new."""


@dataclass(frozen=True)
class Watched:
    """An installation at work and the server that watches it."""

    victoria: Victoria
    exposition: Callable[[], str]
    stop: Callable[[], None]


def _until(found: Callable[[], Any], what: str, missing: Callable[[], Iterable[object]] = tuple) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        assert time.monotonic() < deadline, "\n".join([what, *map(str, missing())])
        time.sleep(0.2)
    return answer


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    data, port, web = folder / "data", free_port(), free_port()
    scrape = folder / "scrape.yaml"
    victoria = Victoria(folder / "victoria", scrape)
    (folder / "plant.json").write_text(json.dumps(PLANT))
    (folder / "andon.toml").write_text(
        f'data = "{data}"\n[web]\nport = {web}\n[influx]\nurl = "{victoria.url}"\n'
        f'[sources.floor]\nkind = "listener"\nport = {port}\n'
        f'[sources.floor.users.M7]\npassword = "{hash_password("secret", log_cost=4)}"\n'
    )
    words = [sys.executable, "-m", "andon", "run", "--config", str(folder / "andon.toml")]
    (folder / "scrape.yaml").write_text(
        "scrape_configs:\n"
        "- {job_name: andon, scrape_interval: 1s, scrape_timeout: 1s, authorization: {credentials_file: "
        f'{data / "console.token"}}}, static_configs: [{{targets: ["127.0.0.1:{web}"]}}]}}\n'
    )
    victoria.start()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*words, "--plant", str(folder / "plant.json")], cwd=ROOT, stdout=log) as running,
    ):
        try:
            _until(lambda: "console: " in (folder / "log").read_text(), "the console is not ready")
            _publish(port)
            yield Watched(victoria, lambda: _exposition(web, data), running.terminate)
        finally:
            running.terminate()
            running.wait(30)
            victoria.stop()


def _publish(port: int) -> None:
    """A value, the same message again, one that is none, and a stop."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="M7")
    client.username_pw_set("M7", "secret")
    client.connect("127.0.0.1", port)
    client.loop_start()
    value = {"id": "1", "source": "M7", "type": "andon.telemetry.v1"}
    value |= {"data": {"metrics": [{"name": "DE/temperature", "value": 41.5, "unit": "Cel"}]}}
    stop = {"id": "2", "source": "M7", "type": "andon.machine.stop.v1"}
    stop |= {"data": {"state": "Stopped", "reason": {"id": "E1", "trigger": True}, "severity": 600}}
    for topic, body in (
        ("_telemetry/values", json.dumps(value)),
        ("_telemetry/values", json.dumps(value)),
        ("_telemetry/values", "{"),
        ("_event/stop", json.dumps(stop)),
    ):
        client.publish(f"{MACHINE}/{topic}", body, qos=1).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def _exposition(port: int, data: Path) -> str:
    token = (data / "console.token").read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - a server of our own
        return str(answer.read().decode())


def test_every_query_of_the_dashboards_has_an_answer(watched: Watched) -> None:
    texts = {one.text: one for one in asked("andon-metrics")}
    waiting = dict(texts)

    def answered() -> bool:
        for text, one in list(waiting.items()):
            found = watched.victoria.ask(text.replace("$__rate_interval", "10s"))
            if found or named(text) <= NOT_YET.keys():
                labels = {label for series in found for label in series["metric"]}
                assert set(re.findall(r"{{(\w+)}}", one.legend)) <= labels or not found, str(one)
                del waiting[text]
        return not waiting

    _until(answered, "no answer", waiting.values)
    assert len(texts) > 40


def test_what_was_published_is_on_the_dashboards(watched: Watched) -> None:
    def value(text: str) -> float | None:
        found = watched.victoria.ask(text)
        return float(found[0]["value"][1]) if found else None

    _until(lambda: value("andon_tickets_opened_total") == 1, "the stop is no ticket")
    _until(lambda: value('andon_mirror_readings_total{outcome="sent"}'), "nothing was mirrored")
    count = 'andon_source_messages_total{source="floor",outcome="%s"}'
    assert [value(count % outcome) for outcome in ("received", "duplicates", "refused")] == [4, 1, 1]
    assert value('sum(andon_tickets_unclosed{state="pending_dispatch"})') == 1
    assert value("andon_part_up{part='engine'}") == 1
    engine_bytes = value("andon_part_resident_bytes{part='engine'}")
    assert engine_bytes is not None
    assert 30e6 < engine_bytes < 1e9
    turns = value("andon_engine_turns_total")
    assert turns is not None
    assert turns >= 1


def test_dashboards_and_alerts_name_only_metrics_that_there_are(watched: Watched) -> None:
    declared = families(watched.exposition())
    texts = [one.text for one in asked("andon-metrics")]
    texts += re.findall(r"^ +expr: (.+)$", (DEPLOY / "alerts.yaml").read_text("utf-8"), re.MULTILINE)
    for text in texts:
        assert named(text) <= declared.keys(), text
        watched.victoria.ask(text.replace("$__rate_interval", "1m"))  # HTTPError: it is no expression
    assert named(" ".join(texts)) >= declared.keys() - {
        "andon_build_info",
        "andon_point_heard_seconds",
        "andon_tickets",
    }
    assert all(kind == "counter" for name, kind in declared.items() if name.endswith("_total"))
    table = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(andon_\w+)", table, re.MULTILINE)) == declared.keys()


def test_an_installation_that_is_gone_rings(watched: Watched) -> None:
    """The last of this file: it ends the installation."""
    away = re.search(r"alert: AndonAway\n +expr: (.+)", (DEPLOY / "alerts.yaml").read_text("utf-8"))
    assert away is not None
    _until(lambda: watched.victoria.ask('up{job="andon"} == 1'), "it is not up")
    assert watched.victoria.ask(away[1]) == []
    watched.stop()
    _until(lambda: watched.victoria.ask(away[1]), "the alert does not ring")


@pytest.mark.skipif(shutil.which("vmalert") is None, reason="victoria-metrics is not installed: vmalert")
def test_vmalert_takes_the_rules() -> None:
    words = ["vmalert", "-dryRun", f"-rule={DEPLOY / 'alerts.yaml'}", "-loggerLevel=ERROR"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_dashboards_are_told_apart_and_name_the_provisioned_sources() -> None:
    found = boards()
    assert {board["uid"] for board in found.values()} == {f"andon-{name}" for name in found}
    provisioned = (DEPLOY / "grafana/provisioning/datasources/andon.yaml").read_text("utf-8")
    uids = set(re.findall(r"^ +uid: (\S+)", provisioned, re.MULTILINE))
    for board in found.values():
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert {panel["datasource"]["uid"] for panel in panels} <= uids
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
        assert len(set(places)) == len(places)
        assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in board["panels"])
