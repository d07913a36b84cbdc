"""One running installation: the engine, its sources and its pages as supervised processes on one data directory."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from andon.away import Away
from andon.clock import SharedStory, wall
from andon.config import Influx, Keeping, Notify, Series, Source, Web
from andon.datadir import token_of
from andon.events import Json
from andon.quarantine import Quarantine
from andon.sealing import Sealing
from andon.supervisor import Supervisor

QUARANTINED, REFUSED = "source_quarantined", "configuration_refused"
AFTER_SOURCES = {"plant", "engine", "influx", "notify", "requests", "web"}
NOT_SEALED, AWAY = "series_not_sealed", "source_away"
SEVERITY = {QUARANTINED: 950, REFUSED: 500, NOT_SEALED: 500, AWAY: 800}


@dataclass(slots=True)
class Installation:
    """What runs on `data`. `story` is the clock of the story that is told, None for real time."""

    data: Path
    story: SharedStory | None = None
    keeping: Keeping = field(default_factory=Keeping)
    series: Series = field(default_factory=Series)
    influx: Influx | None = None
    supervisor: Supervisor = field(init=False)
    quarantine: Quarantine = field(init=False)
    sealing: Sealing = field(init=False)
    nudge: int = field(init=False)
    link: str = ""
    refused: str = ""
    _notices: dict[tuple[str, str], str] = field(default_factory=dict)
    _told: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    _away: Away = field(default_factory=Away)

    def __post_init__(self) -> None:
        self.quarantine = Quarantine(self.data)
        self.supervisor = Supervisor(self.data / "logs", self.quarantine)
        self.nudge = free_port(socket.SOCK_DGRAM)
        self.sealing = Sealing(
            self.data / "series.sqlite",
            self.series,
            self.story or wall,
            mirrored=self.influx is not None,
        )

    def start_engine(self, plant: Mapping[str, Json] | None, sources: list[str]) -> None:
        """Start the engine on these sources; a plant document given here comes into force."""
        self.supervisor.start("engine", self._job("engine", plant=plant, sources=sources))

    def start_source(self, name: str, source: Source) -> None:
        """Start a collector or listener."""
        self.supervisor.start(name, self._source_job(name, source))

    def change_sources(self, sources: Mapping[str, Source]) -> list[str]:
        """Let exactly these sources run; gives the names of those that began, ended or changed.

        Sources that stay as they are notice nothing. New parameters are told to a source that runs; other
        settings, and those of one that does not run, start it anew.
        """
        running = self.sources()
        wanted = {name: self._source_job(name, source) for name, source in sources.items()}
        changed = sorted(
            name for name in running.keys() | wanted.keys() if running.get(name) != wanted.get(name)
        )
        for name in running.keys() - wanted.keys():
            self._end_source(name)
        self._tell_engine_the_sources(sorted(wanted))
        for name in set(changed) & wanted.keys():
            self._change(name, running.get(name), wanted[name])
        return changed

    def sources(self) -> dict[str, dict[str, Json]]:
        """The job of each source, whether it runs or is held in quarantine."""
        jobs = {child.name: child.job for child in self.supervisor.children.values()} | self.supervisor.held
        return {name: job for name, job in jobs.items() if job["role"] == "source"}

    def start_web(self, web: Web, *, accounts: bool = False, notify: Sequence[Notify] = ()) -> None:
        """Start the console; with accounts people sign in there, else whoever has its link is the operator.

        `notify` has the partners whose signed events it takes, and the WeChat accounts whose messages it hears.
        """
        token, partners = None if accounts else token_of(self.data), _partners(notify)
        job = self._job("web", web=web.model_dump(mode="json"), token=token, partners=partners)
        self.supervisor.start("web", job)

    def start_influx(self) -> None:
        """Start the mirror, if there is one."""
        if self.influx is not None:
            self.supervisor.start("influx", self._job("influx", influx=self.influx.model_dump(mode="json")))

    def start_notify(self, notify: Sequence[Notify]) -> None:
        """Start the notifier; it takes what the engine puts on the bus."""
        self.supervisor.start("notify", self._notify_job(notify))
        self._start_requests(notify)

    def change_notify(self, notify: Sequence[Notify]) -> bool:
        """Let exactly these channels speak; False if they do already. What is on the bus meanwhile is delivered after."""
        child, wanted = self.supervisor.children.get("notify"), self._notify_job(notify)
        if child is None or child.job == wanted:
            return False
        self.supervisor.forget("notify")
        self.supervisor.start("notify", wanted)
        self.supervisor.forget("requests")
        self._start_requests(notify)
        web = self.supervisor.children.get("web")
        if web is not None and web.job["partners"] != (partners := _partners(notify)):
            self.supervisor.forget("web")
            self.supervisor.start("web", {**web.job, "partners": partners})
        return True

    def _start_requests(self, notify: Sequence[Notify]) -> None:
        """Start what brings requests in, if there is a mailbox or an account to hear."""
        through = [
            one.model_dump(mode="json") for one in notify if one.kind == "wechat" or "inbox" in one.parameters
        ]
        if through:
            self.supervisor.start("requests", self._job("requests", notify_through=through))

    def _notify_job(self, notify: Sequence[Notify]) -> dict[str, Json]:
        return self._job("notify", notify_through=[one.model_dump(mode="json") for one in notify])

    def start_plant(self, **job: Json) -> None:
        """Start the simulated plant."""
        self.supervisor.start("plant", self._job("plant", **job))

    def wait(self, name: str) -> str:
        """Wait until a part is ready; gives the address that it serves or reads. A restart keeps the same port."""
        said = self.supervisor.wait(name)
        job = self.supervisor.children[name].job
        if name == "web":
            job["web"]["port"] = int(said.rpartition(":")[2])
            self.link = f"{said}/?token={job['token']}" if job["token"] else f"{said}/"
        return said

    def turn(self) -> list[str]:
        """Restart what died and publish every part's status; gives the names of parts that are down."""
        down = self.supervisor.watch()
        self.sealing.turn()
        self._note_what_stands()
        self._tell_what_stands()
        folder = self.data / "run"
        folder.mkdir(exist_ok=True)
        partial = folder / "status.partial"
        facts = {
            "parts": self.supervisor.status(),
            "configuration_refused": self.refused,
            "sealing": self.sealing.report,
        }
        with contextlib.suppress(OSError):  # on a full disk the last status stands: the parts have to go on
            partial.write_text(json.dumps(facts))
            partial.rename(folder / "status.json")
        return down

    def stop(self) -> None:
        """Stop in the order of the flow, so that what was received is also worked on."""
        names = [name for name in self.supervisor.children if name not in AFTER_SOURCES]
        for name in ["plant", *names, "requests", "engine", "notify", "influx", "web"]:
            self.supervisor.stop(name)
        self.sealing.stop()

    def _source_job(self, name: str, source: Source) -> dict[str, Json]:
        return self._job(
            "source",
            name=name,
            kind=source.kind,
            memory_max_mb=source.memory_max_mb,
            keeping=self.keeping.of(source).model_dump(mode="json"),
            parameters=source.parameters,
        )

    def _change(self, name: str, before: Mapping[str, Json] | None, job: dict[str, Json]) -> None:
        child = self.supervisor.children.get(name)
        if (
            before is not None
            and child is not None
            and dict(before) | {"parameters": job["parameters"]} == job
        ):
            child.job = job  # what it is started with, should it die
            self.supervisor.tell(name, {"word": "reload", "parameters": job["parameters"]})
            return
        self._end_source(name)
        self.supervisor.start(name, job)

    def _end_source(self, name: str) -> None:
        self.supervisor.forget(name)
        self.quarantine.lift(name)

    def _tell_engine_the_sources(self, names: list[str]) -> None:
        engine = self.supervisor.children.get("engine")
        if engine is not None:
            engine.job["sources"] = names
            self.supervisor.tell("engine", {"word": "sources", "names": names})

    def _note_what_stands(self) -> None:
        """Note quarantines, sources that are away and refused configurations.

        A quarantine that was lifted is over when the source is ready again.
        """
        for name in self.supervisor.held:
            why = self.quarantine.why(name) or ""
            self._notices[QUARANTINED, name] = f"{why}. Once it is mended: andon resume {name}"
        for name, child in self.supervisor.children.items():
            if child.is_source:
                if child.ready.is_set():
                    self._notices[QUARANTINED, name] = ""
                self._notices[AWAY, name] = self._away.look(
                    name, child.said.get("status", {}), time.monotonic(), running=child.process.poll() is None
                )
        for code, name in self._notices:
            if code in {QUARANTINED, AWAY} and name not in self.sources():
                self._notices[code, name] = ""  # it was taken out
        self._notices[REFUSED, "sources"] = self.refused
        self._notices[NOT_SEALED, "series"] = self.sealing.failure

    def _tell_what_stands(self) -> None:
        """Tell the engine what is news to it; to one that began anew, all of it."""
        engine = self.supervisor.children.get("engine")
        if engine is None or not engine.ready.is_set():
            return
        for (code, subject), detail in self._notices.items():
            if self._told.get((code, subject)) == (detail, engine.process.pid):
                continue
            word = {
                "word": "notice",
                "code": code,
                "subject": subject,
                "active": bool(detail),
                "severity": SEVERITY[code],
                "detail": detail,
            }
            if self.supervisor.tell("engine", word):
                self._told[code, subject] = detail, engine.process.pid

    def _job(self, role: str, **job: Json) -> dict[str, Json]:
        story = str(self.story.path) if self.story else None
        return {
            "role": role,
            "data": str(self.data),
            "clock": story,
            "nudge": self.nudge,
            "notify": self.story is None,
            "keeping": self.keeping.model_dump(mode="json"),
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


def _partners(notify: Sequence[Notify]) -> list[dict[str, Json]]:
    return [one.model_dump(mode="json") for one in notify if one.kind in {"partner", "wechat"}]
