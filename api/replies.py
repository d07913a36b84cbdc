"""What a requester is answered in a chat or by mail, in whole sentences of the catalogue."""

from typing import cast

from api.catalogue import Language, words_of
from ticketing.requests.talking import Outcome
from ticketing.requests.talks import Answer


def reply(answer: Answer, plant: str) -> str:
    """The sentences that answer a message; a report that is taken is told with its ticket."""
    words = words_of(cast("Language", answer.language))
    outcome = answer.outcome
    if outcome in {Outcome.TAKEN, Outcome.ADDED} and answer.ticket is None:
        outcome = Outcome.HELD
    return words(f"talk.{outcome}", number=f"A-{answer.ticket}", plant=plant)
