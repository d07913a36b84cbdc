"""What an integrator writes first: paho-mqtt, JSON, a pydantic model. `python -m andon.benches.consumer` and a job as JSON.

Answers each line on standard input with how many messages it has taken.
"""

import json
import sys
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import BaseModel

from andon.benches.broker import TOPICS


class Metric(BaseModel):
    """One value."""

    name: str
    value: float
    unit: str | None = None


class Metrics(BaseModel):
    """The data of a message."""

    metrics: list[Metric]


class Telemetry(BaseModel):
    """One message."""

    type: str
    source: str
    time: str
    producer: str
    boot: str
    seq: int
    data: Metrics


def main(job: dict[str, int]) -> None:
    """Consume until standard input closes."""
    taken = 0

    def take(_client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        nonlocal taken
        Telemetry.model_validate(json.loads(message.payload))
        taken += 1

    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-consumer")
    client.on_message = take
    client.connect("127.0.0.1", job["port"])
    client.subscribe(TOPICS, job["qos"])
    client.loop_start()
    while sys.stdin.readline():
        print(taken, flush=True)
    client.loop_stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
