"""Channels out of `[[notify]]`: each is a file in ticketing/notify/ with its settings, and its rules."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

import ticketing.notify
from andon.config import ConfigError, Notify, check, unknown
from andon.ports import Notifier
from ticketing.breaker import Breaker
from ticketing.notify import smtp, wechat
from ticketing.notify.webhook import Parameters as WebhookParameters
from ticketing.notify.webhook import keys_of
from ticketing.outbox import Channel, Plan, Say
from ticketing.photos import shown
from ticketing.subscriptions import Subscription, subscription

LOG = "log"
FILE = "notifications.jsonl"


def kinds() -> list[str]:
    """The kinds there are."""
    return sorted(found.name for found in pkgutil.iter_modules(ticketing.notify.__path__))


def kind_of(settings: Notify) -> ModuleType:
    """The file that is this kind; ConfigError names the nearest."""
    if settings.kind not in kinds():
        raise ConfigError(f"notify {settings.name}: kind {unknown(settings.kind, kinds())}")
    return importlib.import_module(f"ticketing.notify.{settings.kind}")


def parameters_of(settings: Notify) -> BaseModel:
    """The kind's own settings, checked; ConfigError says what to change."""
    parameters: BaseModel = check(
        kind_of(settings).Parameters, settings.parameters, f"notify {settings.name}"
    )
    return parameters


def subscription_of(settings: Notify) -> Subscription:
    """Who hears what on it, checked; ConfigError says what to change."""
    sends = kind_of(settings).Notifier
    return subscription(settings, sends.audience, getattr(sends, "scheme", ""))


def check_channels(notify: Sequence[Notify]) -> None:
    """ConfigError if a channel cannot work as it stands there, its secrets included."""
    for settings in notify:
        subscription_of(settings)
        notifier_of(settings)


def notifier_of(settings: Notify) -> Notifier:
    """What sends; ConfigError if a secret is not there."""
    try:
        notifier: Notifier = kind_of(settings).Notifier(parameters_of(settings))
    except ConfigError as error:
        here = f"notify {settings.name}"
        raise error if str(error).startswith(here) else ConfigError(f"{here}: {error}") from error
    except OSError as error:
        raise ConfigError(f"notify {settings.name}: {error}") from error
    return notifier


def partner_keys(notify: Sequence[Notify]) -> Mapping[str, Sequence[bytes]]:
    """The keys that each partner signs with, the old one too while it holds; ConfigError if a secret is not there."""
    found = {one.name: parameters_of(one) for one in notify if one.kind == "partner"}
    return {name: keys_of(one) for name, one in found.items() if isinstance(one, WebhookParameters)}


def wechat_accounts(notify: Sequence[Notify]) -> Mapping[str, wechat.Parameters]:
    """The WeChat official accounts by the names of their channels."""
    found = {one.name: parameters_of(one) for one in notify if one.kind == "wechat"}
    return {name: one for name, one in found.items() if isinstance(one, wechat.Parameters)}


def inboxes(notify: Sequence[Notify]) -> Mapping[str, smtp.Parameters]:
    """The mail channels that also have a mailbox for requests, by name."""
    found = {one.name: parameters_of(one) for one in notify if one.kind == "smtp"}
    return {
        name: one for name, one in found.items() if isinstance(one, smtp.Parameters) and one.inbox is not None
    }


def make_channels(
    data: Path, notify: Sequence[Notify], say: Say, plan: Plan = lambda _: ()
) -> Mapping[str, Channel]:
    """The channels of a data directory by name; a log of all events is always among them."""
    logged = Notify.model_validate({"name": LOG, "kind": LOG, "path": str(data / FILE)})
    return {
        settings.name: Channel(
            subscription=subscription_of(settings),
            notifier=notifier_of(settings),
            breaker=Breaker(after=settings.open_after, probe_s=settings.probe_s),
            say=say,
            show=partial(shown, data / "photos"),
            plan=plan if getattr(kind_of(settings).Notifier, "shows_plan", False) else lambda _: (),
        )
        for settings in (logged, *notify)
    }
