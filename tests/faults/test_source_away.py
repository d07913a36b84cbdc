"""A broker that is not there is a ticket within a minute, and an alarm that is over once it is."""

from pathlib import Path

import pytest

from tests.installed import WORKSHOP, Running
from tests.mosquitto import PROGRAM, mosquitto


def test_a_broker_that_is_away_is_a_ticket_within_a_minute(tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed")
    with mosquitto(tmp_path / "broker") as broker:
        broker.stop()
        source = (
            f'[sources.floor]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\nclient_id = "andon"\n'
        )
        with Running(tmp_path, source, WORKSHOP) as running:
            (ticket,) = running.until(lambda: running.tickets("source_away"), 60, "a ticket was opened")
            assert ticket["alarm_active"]
            broker.start()
            running.until(
                lambda: not running.tickets("source_away")[0]["alarm_active"], 40, "the alarm was over"
            )
