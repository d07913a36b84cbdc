"""What machines of a story say, as the bytes that their gateway and MES send: Andon's own layout over MQTT."""

from andon.events import SECOND_NS, Json, PackMLState, rfc3339
from andon.plant import Asset
from andon.stories.document import Measured, Runs, Stops
from simulators.messages import MqttMessage, envelope, metrics

SILENT = {"mode": "Production", "source_system": "mes"}


def stop(asset: Asset, said: Stops, at_ns: int) -> MqttMessage:
    """The machine stopped, and why."""
    reason: dict[str, Json] = {"id": said.reason, "message": said.message, "category": said.category}
    return _event(asset, reason | {"trigger": True}, PackMLState.STOPPED, said.severity, at_ns)


def run(asset: Asset, said: Runs, at_ns: int) -> MqttMessage:
    """The reason of its stop is gone."""
    return _event(asset, {"id": said.reason, "trigger": False}, PackMLState.RESETTING, 1, at_ns)


def measurements(asset: Asset, said: Measured, at_ns: int) -> list[MqttMessage]:
    """Each value with its own time, the last at `at_ns`."""
    point = asset.point(said.point)
    unit = point.quantities[said.quantity] if point else ""
    channel = f"{said.point}/{said.quantity}"
    first_ns = at_ns - round((len(said.values) - 1) * said.every_s * SECOND_NS)
    found = []
    for n, value in enumerate(said.values):
        then_ns = first_ns + round(n * said.every_s * SECOND_NS)
        body = envelope(
            message_id=f"{asset.id}/{channel}/{then_ns}",
            source="gateway",
            kind="andon.telemetry.v1",
            at_ns=then_ns,
            subject=f"{asset.path}/{asset.id}",
            data=metrics([(channel, value, unit)]),
        )
        found.append(MqttMessage(then_ns, _topic(asset, "_telemetry", said.point), body))
    return found


def _event(
    asset: Asset, reason: dict[str, Json], state: PackMLState, severity: int, at_ns: int
) -> MqttMessage:
    ended = {} if reason["trigger"] else {"end_time": rfc3339(at_ns)}
    body = envelope(
        message_id=f"mes/{asset.id}/{reason['id']}/{at_ns}",
        source="mes",
        kind="andon.machine.stop.v1",
        at_ns=at_ns,
        subject=f"{asset.path}/{asset.id}",
        data={
            "state": state.name.capitalize(),
            "state_num": int(state),
            "mode": "Production",
            "reason": reason,
            "start_time": rfc3339(at_ns) if reason["trigger"] else None,
            "severity": severity,
            "source_system": "mes",
            **ended,
        },
    )
    return MqttMessage(at_ns, _topic(asset, "_event", "stop"), body)


def _topic(asset: Asset, kind: str, name: str) -> str:
    return f"andon/v1/{asset.path}/{asset.id}/{kind}/{name}"
