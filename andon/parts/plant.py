"""The process of the simulated plant of `andon demo`."""

import asyncio
import threading
from pathlib import Path

from andon.clock import Now
from andon.parts import Job, ready, status, until
from simulators import run as plant
from simulators.plant import Simulation


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Publish what is due, and serve OPC UA, until told to stop."""
    simulation = Simulation(job["seed"], job["start_ns"], healthy=job["healthy"])

    async def publish(event: asyncio.Event) -> None:
        await plant.run(
            simulation,
            mqtt_host="127.0.0.1",
            mqtt_port=job["mqtt_port"],
            username=job["username"],
            password=job["password"],
            opcua_port=job["opcua_port"],
            now=now,
            progress=Path(job["progress"]),
            stopping=event,
            ready=ready,
            status=status,
        )

    asyncio.run(until(stopping, publish))
