"""A refusal of HTTP's with a code of ours: what a program can tell apart, and what a person can do about it."""

from starlette.exceptions import HTTPException


class Refused(HTTPException):
    """Answered as a problem with that `code`."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, detail)
        self.code = code
