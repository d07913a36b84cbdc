"""The way to a system that keeps the state of tickets too: CloudEvents signed as `webhook` does, answered with a version.

The same secret signs what it sends to `POST /api/v1/partners/{name}/events`; see docs/partners.md.
"""

from ticketing.notify import webhook
from ticketing.subscriptions import Audience


class Parameters(webhook.Parameters):
    """Where to, and with which secrets."""


class Notifier(webhook.Notifier):
    """Signs and posts one event per call."""

    kind = "partner"
    audience = Audience.PARTNER
