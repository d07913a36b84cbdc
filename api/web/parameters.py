"""A detector's kind, its parameters and their choices in the reader's language; the models say theirs in English."""

from dataclasses import replace

from api.catalogue import Words
from detectors import Setting


def kind_name(kind: str, words: Words) -> str:
    """A kind in two or three words; its code where the catalogue does not know it."""
    key = f"kind.{kind}"
    return words(key) if key in words else kind


def said(kind: str, setting: Setting, words: Words) -> Setting:
    """The parameter with title and sentence in the reader's language.

    The catalogue has them as one text, `名称：含义。`, under the kind or under what kinds have in common.
    """
    keys = (f"parameter.{kind}.{setting.name}", f"parameter.common.{setting.name}")
    text = next((words(key) for key in keys if key in words), None)
    if text is None:
        return setting
    title, _, sentence = text.partition("：")
    return replace(setting, title=title, description=sentence)


def choice_name(choice: str, words: Words) -> str:
    """One of a parameter's choices in words."""
    key = f"choice.{choice}"
    return words(key) if key in words else choice
