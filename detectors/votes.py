"""k of n: the latest n yes-or-no answers as the bits of one integer, newest lowest."""


def cast(votes: int, yes: bool, of: int) -> int:
    """The votes with one more answer, the latest `of` kept.

    >>> bin(cast(0b101, True, 3))
    '0b11'
    """
    return (votes << 1 | yes) & ((1 << of) - 1)


def cast_no(votes: int, times: int, of: int) -> int:
    """The votes with so many more that say no.

    >>> bin(cast_no(0b101, 1, 3))
    '0b10'
    """
    return (votes << times) & ((1 << of) - 1) if times < of else 0


def count(votes: int) -> int:
    """How many said yes.

    >>> count(0b1011)
    3
    """
    return votes.bit_count()
