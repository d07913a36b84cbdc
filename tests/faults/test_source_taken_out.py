"""A crash after a source was taken out of andon.toml."""

from pathlib import Path

from andon.installation import free_port
from tests.installed import WORKSHOP, Device, Running, listener


def test_a_source_that_was_taken_out_is_still_read_to_its_end_after_a_crash(tmp_path: Path) -> None:
    """The order taken names it: an engine that did not open its journal any more could not repeat itself."""
    ports = [free_port(), free_port()]
    floor, second = listener("floor", ports[0]), listener("second", ports[1])
    with Running(tmp_path, floor + second, WORKSHOP) as running:
        device = Device(ports[1])
        device.stops("M2", 1)
        running.until(lambda: running.tickets("stop"), 15, "it became a ticket")
        device.leave()
        running.kill()
    running.write(floor)
    with running:
        assert "engine: 0 batches" not in running.heard.read_text()
        assert [row["asset"] for row in running.tickets("stop")] == ["M2"]
