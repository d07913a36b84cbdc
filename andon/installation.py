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
    journal: Mapping[str, Json] = field(default_factory=dict)
    supervisor: Supervisor = field(init=False)
    nudge: int = field(init=False)
    link: str = ""

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.data / "logs")
        self.nudge = free_port(socket.SOCK_DGRAM)

    def start_engine(self, plant: Mapping[str, Json] | None, sources: list[str]) -> None:
        """Start the engine on these sources; a plant document given here comes into force."""
        self.supervisor.start("engine", self._job("engine", plant=plant, sources=sources), wait_s=120)

    def start_source(self, name: str, source: Source) -> str:
        """Start a collector or listener; gives the address it serves or reads."""
        job = self._job(
            "source", name=name, kind=source.kind, parameters=source.parameters, journal=dict(self.journal)
        )
        return self.supervisor.start(name, job)

    def start_web(self, web: Web) -> str:
        """Start the console; gives the link that signs the reader in."""
        token = token_of(self.data)
        address = self.supervisor.start("web", self._job("web", host=web.host, port=web.port, token=token))
        self.supervisor.children["web"].job["port"] = self.port_of("web")
        self.link = f"{address}/?token={token}"
        return self.link

    def port_of(self, name: str) -> int:
        """The port that a part said it serves."""
        return int(str(self.supervisor.children[name].said["ready"]).rpartition(":")[2])

    def start_plant(self, **job: Json) -> str:
        """Start the simulated plant."""
        return self.supervisor.start("plant", self._job("plant", **job))

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
