"""What a scanner types: a plain code, or a GS1 element string that names the part and its lot.

A keyboard-wedge scanner types the text and Enter; a camera gives the same text. Source: GS1 General Specifications,
3.2 (application identifiers 01, 10, 17, 240) and 7.8 (FNC1 as the separator GS, symbology identifiers of ISO/IEC 15424).
"""

import re
from dataclasses import dataclass

_SYMBOLOGY = re.compile(r"\][A-Za-z]\d")
_BRACKETED = re.compile(r"\((\d{2,4})\)([^(]*)")
_GS = "\x1d"
_FIXED = {"01": 14, "02": 14, "11": 6, "13": 6, "15": 6, "17": 6}
_PART, _NUMBER, _LOT = "01", "240", "10"


@dataclass(frozen=True, slots=True)
class Scan:
    """The code that names a part, and the lot if the label names one."""

    code: str
    lot: str = ""


def scanned(text: str) -> Scan:
    """What a scan or a typed text names; a text that is no GS1 string is a code as it stands.

    >>> scanned("SEAL-90"), scanned("(01)06912345678901(10)L-2602")
    (Scan(code='SEAL-90', lot=''), Scan(code='06912345678901', lot='L-2602'))
    >>> scanned("]C1010691234567890117270131" + "10L-2602")
    Scan(code='06912345678901', lot='L-2602')
    """
    text = text.strip()
    begun = _SYMBOLOGY.match(text)
    bare = text[3:] if begun else text
    if bare.startswith("("):
        found = dict(_BRACKETED.findall(bare))
    elif (begun and text[:3] in {"]C1", "]d2", "]Q3", "]e0"}) or (bare.startswith("01") and _GS in bare):
        found = _elements(bare)
    else:
        return Scan(bare)
    code = found.get(_NUMBER) or found.get(_PART, "")
    return Scan(code.strip(), found.get(_LOT, "").strip()) if code else Scan(bare)


def _elements(text: str) -> dict[str, str]:
    """The elements of an unbracketed string; what follows an identifier that is not known is left."""
    found: dict[str, str] = {}
    text = text.strip(_GS)
    while text:
        name = next((n for n in (*_FIXED, _LOT, _NUMBER) if text.startswith(n)), None)
        if name is None:
            break
        rest = text[len(name) :]
        length = _FIXED.get(name)
        end = length if length is not None else (rest.find(_GS) if _GS in rest else len(rest))
        found[name], text = rest[:end], rest[end:].lstrip(_GS)
    return found
