"""One process per part, each on a line of its own: started with a job on standard input, restarted when it dies.

A child ends when its standard input closes, so that nothing outlives a killed supervisor. It speaks JSON lines
on standard output (`{"ready": ...}`, `{"status": {...}}`, `{"tell": {"to": ...}}`); what it logs goes to a file.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from andon.events import Json
from andon.quarantine import WITHIN_S, Quarantine, is_too_often

FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 30.0
LOG_BYTES = 8 * 1024 * 1024
STEADY_S = 30.0  # a process that ran this long starts again without delay


@dataclass(slots=True)
class Child:
    """A running part and the last it said of itself. `forward` takes what it wants another part to be told."""

    name: str
    job: dict[str, Json]
    log: Path
    process: subprocess.Popen[str]
    started_s: float
    forward: Callable[[dict[str, Json]], None]
    speaking: threading.Lock = field(default_factory=threading.Lock)
    ready: threading.Event = field(default_factory=threading.Event)
    said: dict[str, Json] = field(default_factory=dict)
    restarts: int = 0
    failures: int = 0
    due_s: float = 0.0
    stopping: bool = False
    crashes_s: list[float] = field(default_factory=list)

    @property
    def is_source(self) -> bool:
        """Whether it may be put in quarantine; engine and web are always started again."""
        return bool(self.job.get("role") == "source")

    def listen(self) -> None:
        """Keep the last ready line and status until the process ends."""
        stream = self.process.stdout
        assert stream is not None  # noqa: S101 - opened with a pipe
        for line in stream:
            try:
                word = json.loads(line)
            except ValueError:
                continue
            if not isinstance(word, dict):
                continue  # something a library printed
            if "tell" in word:
                self.forward(dict(word["tell"]))
                continue
            self.said.update(word)
            if "ready" in word:
                self.ready.set()


class Supervisor:
    """Starts, watches and stops the parts."""

    def __init__(self, logs: Path, quarantine: Quarantine) -> None:
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._quarantine = quarantine
        self.children: dict[str, Child] = {}
        self.held: dict[str, dict[str, Json]] = {}  # in quarantine: the job of each

    def start(self, name: str, job: Mapping[str, Json]) -> None:
        """Start a part; `wait` tells when it is ready. One that is in quarantine is held until it is lifted."""
        if job.get("role") == "source" and self._quarantine.why(name) is not None:
            self.held[name] = dict(job)
        else:
            self.children[name] = self._launch(name, dict(job))

    def wait(self, name: str, wait_s: float = 60.0) -> str:
        """What the part says once it is ready. ChildDied if it ends before, TimeoutError if it takes longer."""
        child, deadline = self.children[name], time.monotonic() + wait_s
        while not child.ready.wait(0.05):
            if child.process.poll() is not None:
                raise ChildDied(name, child.process.returncode, tail(child.log))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} was not ready within {wait_s:.0f} s; see {child.log}")
        return str(child.said["ready"])

    def tell(self, name: str, word: Mapping[str, Json]) -> bool:
        """Tell a part something; whether it could be told."""
        child = self.children.get(name)
        if child is None or child.process.stdin is None:
            return False
        with child.speaking:
            try:
                child.process.stdin.write(json.dumps(word) + "\n")
                child.process.stdin.flush()
            except (OSError, ValueError):  # it has died, or is being stopped
                return False
        return True

    def watch(self) -> list[str]:
        """Start again what has died, with a growing delay, and what was in quarantine and no longer is.

        Gives the names of parts that are down now. A source that died too often goes into quarantine.
        """
        for name in [name for name in self.held if self._quarantine.why(name) is None]:
            self.start(name, self.held.pop(name))
        down = [*self.held]
        for child in list(self.children.values()):
            _bound(child.log)
            if child.stopping or child.process.poll() is None:
                continue
            down.append(child.name)
            now_s = time.monotonic()
            if child.due_s == 0.0:
                child.crashes_s = [at_s for at_s in child.crashes_s if now_s - at_s < WITHIN_S] + [now_s]
                child.failures = 0 if now_s - child.started_s > STEADY_S else child.failures + 1
                child.due_s = now_s + min(FIRST_BACKOFF_S * 2**child.failures / 2, LAST_BACKOFF_S)
                if child.is_source and is_too_often(child.crashes_s, now_s):
                    self._hold(child)
            elif now_s >= child.due_s:
                self._again(child)
        return down

    def forget(self, name: str) -> None:
        """Stop a part for good."""
        self.stop(name)
        self.held.pop(name, None)
        self.children.pop(name, None)

    def stop(self, name: str, wait_s: float = 5.0) -> int | None:
        """Close the part's input and wait; a part that does not end is killed. Gives its exit code."""
        child = self.children.get(name)
        if child is None:
            return None
        child.stopping = True
        if child.process.stdin and not child.process.stdin.closed:
            child.process.stdin.close()
        try:
            return child.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
            return child.process.wait()

    def status(self) -> dict[str, dict[str, Json]]:
        """For each part: pid, whether it runs, restarts, crashes of late, and what it last said of itself.

        Of one in quarantine: that, and why.
        """
        running: dict[str, dict[str, Json]] = {
            child.name: {
                "pid": child.process.pid,
                "running": child.process.poll() is None,
                "restarts": child.restarts,
                "crashes": len(child.crashes_s),
                **child.said,
            }
            for child in self.children.values()
        }
        return running | {
            name: {"pid": None, "running": False, "quarantined": self._quarantine.why(name)}
            for name in self.held
        }

    def _launch(self, name: str, job: dict[str, Json]) -> Child:
        log = self._logs / f"{name}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "andon", "_part"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ
                | {"PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        child = Child(name, job, log, process, time.monotonic(), self._forward)
        assert process.stdin is not None  # noqa: S101 - opened with a pipe
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once: watch() or start() says so
        threading.Thread(target=child.listen, name=f"listen-{name}", daemon=True).start()
        return child

    def _hold(self, child: Child) -> None:
        last_line = tail(child.log).rpartition("\n")[2]
        why = f"died {len(child.crashes_s)} times within {WITHIN_S / 60:.0f} minutes; its last words: {last_line}"
        self._quarantine.put(child.name, why)
        self.held[child.name] = self.children.pop(child.name).job

    def _forward(self, word: dict[str, Json]) -> None:
        self.tell(str(word.pop("to")), word)

    def _again(self, child: Child) -> None:
        fresh = self._launch(child.name, child.job)
        fresh.restarts, fresh.failures = child.restarts + 1, child.failures
        fresh.crashes_s = child.crashes_s
        self.children[child.name] = fresh


class ChildDied(Exception):
    """A part ended before it was ready."""

    def __init__(self, name: str, code: int, last_words: str) -> None:
        super().__init__(f"{name} ended with code {code} before it was ready: {last_words}")
        self.name = name


def _bound(log: Path) -> None:
    """Keep a log from growing for ever: what is beyond `LOG_BYTES` moves to `.1`, in place of what was there.

    The part goes on writing to the same file, at its end: a line or two said in this moment may be lost.
    """
    with contextlib.suppress(OSError):  # gone, or the disk is full: the next look tries again
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def tail(path: Path, limit: int = 2000) -> str:
    """The last lines of a log file."""
    try:
        return path.read_bytes()[-limit:].decode("utf-8", "replace").strip()
    except OSError:
        return ""
