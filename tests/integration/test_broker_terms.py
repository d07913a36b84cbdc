"""What `andon check` says of a broker: asked of a real one, and of nobody."""

from pathlib import Path

from andon.commands.check_installation import broker_verdicts
from andon.config import Config, check
from andon.installation import free_port
from tests.mosquitto import mosquitto, needs_mosquitto


def said(port: int, **more: object) -> list[tuple[str, str]]:
    source = {"kind": "mqtt", "host": "127.0.0.1", "port": port, "client_id": "andon", **more}
    config = check(Config, {"sources": {"line": source}}, "test")
    return [(verdict.state, verdict.text) for verdict in broker_verdicts(config)]


@needs_mosquitto
def test_a_broker_that_lets_everything_pass_is_good_and_its_limits_are_named(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "open") as broker:
        assert [state for state, _ in said(broker.port)] == ["good"]
    limits = ("allow_anonymous true", "max_packet_size 100000", "max_qos 0")
    with mosquitto(tmp_path / "narrow", *limits) as broker:
        states, texts = zip(*said(broker.port), strict=True)
    assert states == ("warning", "warning")
    assert "packets of 100,000 bytes" in texts[0]
    assert "QoS 0 at most" in texts[1]


@needs_mosquitto
def test_a_broker_that_refuses_us_or_is_not_there_is_named(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "closed", "allow_anonymous false") as broker:
        ((state, text),) = said(broker.port)
    assert (state, "refuses" in text) == ("warning", True)
    ((state, text),) = said(free_port())
    assert (state, "cannot be reached" in text) == ("warning", True)
