"""What is refused where people sign in and accounts are kept.

AccessRefused           a deed that cannot be done; `code` is stable, the text says what to do
└── SignInRefused       wrong name or password (`sign_in_wrong`), or too many of them (`sign_in_locked`, `until_ns`)
"""


class AccessRefused(Exception):
    """`code` is stable; the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class SignInRefused(AccessRefused):
    """Nobody was let in; `until_ns` (ns UTC) is when the next try is heard, None if at once."""

    def __init__(self, code: str, text: str, until_ns: int | None = None) -> None:
        super().__init__(code, text)
        self.until_ns = until_ns
