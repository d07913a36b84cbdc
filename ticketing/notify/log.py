"""Events as JSON lines in a file: the channel that needs nothing, and a record of what was said."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from andon.ports import Message, NotifyError
from ticketing.cloud_events import as_json
from ticketing.subscriptions import Audience


class Parameters(BaseModel):
    """Where to write."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: Path = Field(description="file that one CloudEvent a line is appended to")


class Notifier:
    """Appends and fsyncs: a line is on disk when `send` returns. The same message again adds a line of the same key."""

    kind = "log"
    audience = Audience.SYSTEMS

    def __init__(self, parameters: Parameters) -> None:
        self._path = parameters.path

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - the file has no clock
        """Append one line; NotifyError (to be tried again) if the disk refuses."""
        line = as_json(message) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotifyError(f"{self._path}: {error.strerror}", permanent=False) from error
        return f"{len(line)} bytes"
