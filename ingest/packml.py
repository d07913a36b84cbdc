"""PackML's words for what a machine does: state names as they are written in the field, and their numbers."""

from andon.events import PackMLState

_BY_NAME = {state.name.replace("_", ""): state for state in PackMLState}


def state_of(word: str | int) -> PackMLState:
    """The state of that name or number; case, spaces, hyphens and underscores do not matter. Else ValueError.

    Source: ISA-TR88.00.02 (StateCurrent); OPC 30050, 6.3.

    >>> state_of("Un-Holding"), state_of(6)
    (<PackMLState.UNHOLDING: 12>, <PackMLState.EXECUTE: 6>)
    """
    if isinstance(word, int):
        return PackMLState(word)
    state = _BY_NAME.get("".join(letter for letter in word[:64].upper() if letter.isalpha()))
    if state is None:
        raise ValueError(f"no PackML state is called {word[:64]!r}")
    return state
