"""andon.toml changes while Andon runs: what changed is applied, the rest does not notice, what is wrong is refused whole."""

from pathlib import Path

from andon.installation import free_port
from tests.installed import WORKSHOP, Device, Running, listener


def test_sources_come_change_and_go_while_the_others_keep_their_connections(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    floor, second = listener("floor", ports[0]), listener("second", ports[1])
    with Running(tmp_path, floor, WORKSHOP) as running:
        pids = {name: running.part(name)["pid"] for name in ("floor", "engine", "web")}
        device = Device(ports[0])
        device.stops("M1", 1)

        running.write(floor + second)
        running.until(lambda: "ready" in running.part("second"), 20, "the added source was ready")
        newcomer = Device(ports[1])
        newcomer.stops("M2", 1)
        running.until(
            lambda: {row["asset"] for row in running.tickets("stop")} == {"M1", "M2"},
            15,
            "the engine read it",
        )
        newcomer.leave()

        running.write(floor + second.replace("listener", "lisener"))
        refused = running.until(lambda: running.status()["configuration_refused"], 10, "it was refused")
        assert "there is no kind 'lisener'" in refused
        running.until(lambda: "the old configuration stays" in running.heard.read_text(), 5, "it was said")
        (ticket,) = running.until(lambda: running.tickets("configuration_refused"), 15, "a ticket was opened")
        assert ticket["alarm_active"]
        assert running.part("second")["running"], "the old configuration is kept whole"

        running.write(floor + listener("second", ports[1], "memory_max_mb = 300\n"))
        before = running.part("second")["pid"]
        running.until(
            lambda: running.part("second").get("pid") not in {before, None}, 20, "it was started anew"
        )
        running.until(
            lambda: not running.tickets("configuration_refused")[0]["alarm_active"], 15, "it was mended"
        )
        assert running.status()["configuration_refused"] == ""

        running.write(floor)
        running.until(lambda: not running.part("second"), 10, "the source that was taken out ended")
        device.stops("M3", 1)
        running.until(
            lambda: {row["asset"] for row in running.tickets("stop")} == {"M1", "M2", "M3"}, 15, "it goes on"
        )
        assert {name: running.part(name)["pid"] for name in pids} == pids
        assert device.connections == 1
        device.leave()


def test_other_channels_speak_at_once_and_wrong_ones_are_refused_whole(tmp_path: Path) -> None:
    port = free_port()
    floor = listener("floor", port)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"

    def to(path: Path, more: str = "") -> str:
        return f'{floor}[[notify]]\nname = "shift_book"\nkind = "log"\npath = "{path}"\n{more}'

    def has(path: Path, asset: str) -> bool:
        return path.exists() and f'"{asset}"' in path.read_text()

    with Running(tmp_path, to(first), WORKSHOP) as running:
        pids = {name: running.part(name)["pid"] for name in ("floor", "engine", "web")}
        device = Device(port)
        device.stops("M1", 1)
        running.until(lambda: has(first, "M1"), 20, "the first channel spoke")

        running.write(to(second, 'topics = ["ticket.opend"]\n'))
        refused = running.until(lambda: running.status()["configuration_refused"], 10, "it was refused")
        assert "ticket.opened" in refused, "it says what was probably meant"
        device.stops("M2", 1)
        running.until(lambda: has(first, "M2"), 20, "the old channel goes on")

        running.write(to(second))
        running.until(lambda: "notify: changed" in running.heard.read_text(), 10, "it was said")
        device.stops("M3", 1)
        running.until(lambda: has(second, "M3"), 20, "the other channel speaks")
        assert not has(first, "M3")
        assert {name: running.part(name)["pid"] for name in pids} == pids
        device.leave()
