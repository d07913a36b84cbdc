"""Messages that the console's own pages and API read: they stay in the store, and are there once they are told."""

from pydantic import BaseModel, ConfigDict

from andon.ports import Message
from ticketing.subscriptions import Audience


class Parameters(BaseModel):
    """Nothing to set: who is told stands in `people`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Notifier:
    """The store is the receiver: what is marked as sent can be read at `GET /api/v1/messages`."""

    kind = "console"
    audience = Audience.PERSON

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - it lies where it is read
        """Nothing is left to do."""
        return "in the store"
