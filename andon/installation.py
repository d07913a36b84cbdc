"""One running installation: the engine, its sources and its pages as supervised processes on one data directory."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from andon.clock import SharedStory
from andon.config import Source, Web
from andon.datadir import token_of
from andon.events import Json
from andon.supervisor import Supervisor


@dataclass(slots=True)
class Installation:
    """What runs on `data`. `story` is the clock of the story that is told, None for real time."""

    data: Path
    story: SharedStory | None = None
    supervisor: Supervisor = field(init=False)
    nudge: int = field(init=False)
    link: str = ""

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.data / "logs")
        self.nudge = free_port(socket.SOCK_DGRAM)

    def start_engine(self, plant: Mapping[str, Json] | None, sources: list[str]) -> None:
        """Start the engine on these sources; a plant document given here comes into force."""
        self.supervisor.start("engine", self._job("engine", plant=plant, sources=sources))

    def start_source(self, name: str, source: Source) -> None:
        """Start a collector or listener."""
        self.supervisor.start(
            name, self._job("source", name=name, kind=source.kind, parameters=source.parameters)
        )

    def start_web(self, web: Web) -> None:
        """Start the console."""
        token = token_of(self.data)
        self.supervisor.start("web", self._job("web", host=web.host, port=web.port, token=token))

    def start_plant(self, **job: Json) -> None:
        """Start the simulated plant."""
        self.supervisor.start("plant", self._job("plant", **job))

    def wait(self, name: str) -> str:
        """Wait until a part is ready; gives the address that it serves or reads. A restart keeps the same port."""
        said = self.supervisor.wait(name)
        job = self.supervisor.children[name].job
        if name == "web":
            job["port"] = int(said.rpartition(":")[2])
            self.link = f"{said}/?token={job['token']}"
        return said

    def turn(self) -> list[str]:
        """Restart what died and publish every part's status; gives the names of parts that are down."""
        down = self.supervisor.watch()
        folder = self.data / "run"
        folder.mkdir(exist_ok=True)
        partial = folder / "status.partial"
        partial.write_text(json.dumps({"parts": self.supervisor.status()}))
        partial.rename(folder / "status.json")
        return down

    def stop(self) -> None:
        """Stop in the order of the flow, so that what was received is also worked on."""
        names = [name for name in self.supervisor.children if name not in {"plant", "engine", "web"}]
        for name in ["plant", *names, "engine", "web"]:
            self.supervisor.stop(name)

    def _job(self, role: str, **job: Json) -> dict[str, Json]:
        story = str(self.story.path) if self.story else None
        return {
            "role": role,
            "data": str(self.data),
            "clock": story,
            "nudge": self.nudge,
            "notify": self.story is None,
            **job,
        }


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a loopback TCP port can be served now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
