"""What a WeChat official account's servers call (rule 5): the check of the address, and each message of a follower.

Nobody is signed in here: a callback proves itself by its signature, and in secure mode by its seal. It is answered at
once, for after five seconds it comes again; photos and videos are fetched afterwards.
"""

import logging
import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from andon.events import SECOND_NS
from api.context import Context
from api.replies import reply
from api.visit import ContextOf
from ticketing.notify.wechat import SCHEME
from ticketing.requests import talks
from ticketing.requests.talking import Outcome, Said
from ticketing.requests.talks import Answer, Incoming
from ticketing.requests.wechat_wire import (
    BODY_MAX,
    Account,
    Heard,
    Signed,
    WeChatRefused,
    answered,
    body_of,
    check,
    heard,
)

router = APIRouter(prefix="/wechat", include_in_schema=False)
WEB_CHANNEL = "wechat"
MESSAGES = frozenset({"text", "image", "voice", "video", "shortvideo", "location", "link"})
_DONE = "success"
log = logging.getLogger(__name__)


class Address(BaseModel):
    """The parameters of a callback's address."""

    signature: str = ""
    timestamp: str = ""
    nonce: str = ""
    echostr: str = ""
    encrypt_type: str = ""
    msg_signature: str = ""
    openid: str = ""


Asked = Annotated[Address, Query()]


@router.get("/{account}")
def echo(context: ContextOf, account: str, asked: Asked) -> Response:
    """The platform makes sure that this address is the account's: what it says comes back, if it is signed."""
    _checked(context, account, asked)
    return PlainTextResponse(asked.echostr)


@router.post("/{account}")
async def callback(request: Request, context: ContextOf, account: str, asked: Asked) -> Response:
    """A message or event: taken in once, and answered in its own connection."""
    known = _checked(context, account, asked)
    body = await request.body()
    try:
        said = heard(body_of(known, _signed(asked), body[: BODY_MAX + 1]))
    except WeChatRefused as refused:
        raise _forbidden(account, refused) from None
    answer = await run_in_threadpool(_taken, context, said, account)
    if answer is None:
        return PlainTextResponse(_DONE)
    words = reply(answer, context.plant().name)
    told = answered(known, said, words, secrets.token_bytes(16), secrets.token_hex(8))
    return Response(told, media_type="application/xml")


def _taken(context: Context, said: Heard, account: str) -> Answer | None:
    """Hear a message, or note an event; None where nothing is answered."""
    came = Incoming(
        id=said.id,
        said=Said(
            WEB_CHANNEL,
            f"{SCHEME}{said.sender}",
            said.words,
            said.scene,
            context.wechat_types.get(account, ""),
        ),
        kind=said.event or said.kind,
        at_ns=context.now(),
        sources=[f"{account}/{one}" for one in said.media],
    )
    if said.kind in MESSAGES or said.scene:
        return talks.hear(context.tickets, came, context.plant())
    if said.event == "subscribe":
        return talks.note(context.tickets, came, Outcome.WELCOME)
    talks.note(context.tickets, came, Outcome.NOTED)
    return None


def _checked(context: Context, account: str, asked: Address) -> Account:
    """The account of that name, if its token signed the address."""
    known = context.wechat.get(account)
    if known is None:
        raise HTTPException(404)
    try:
        check(known, _signed(asked), context.now() // SECOND_NS)
    except WeChatRefused as refused:
        raise _forbidden(account, refused) from None
    return known


def _signed(asked: Address) -> Signed:
    return Signed(asked.signature, asked.timestamp, asked.nonce, asked.msg_signature)


def _forbidden(account: str, refused: WeChatRefused) -> HTTPException:
    log.warning("a callback was refused", extra={"account": account, "why": str(refused)})
    return HTTPException(403, str(refused))
