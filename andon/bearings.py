"""Common rolling bearings by designation: how many elements, of what diameter, on what pitch circle, at what angle.

Makers may deviate a little under the same designation: an own entry in the plant document comes first, and a
bearing whose lines another one explains better is told so with the finding. Pitch diameters of the ISO 15
series are the mean of bore and outside diameter, which the dimension plan fixes; counts and ball diameters
are the usual ones of the makers' tables, and each pair gives the makers' basic dynamic load rating by the
formula of ISO 281:2007 within 3 % (6305 and 6306, on which they differ: within 6 %). A ball that is half a
millimetre larger moves a race's frequency by 1 %, about as much as slip. Angular contact and roller bearings
are not here, since their makers agree on neither count nor angle: they want an own entry. What is not certain
is not here.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

Geometry = tuple[int, float, float, float]
"""Rolling elements, their diameter and the pitch diameter in mm, contact angle in degrees."""

COMMON: Mapping[str, Geometry] = MappingProxyType(
    {
        "6000": (7, 4.762, 18.0, 0.0),
        "6001": (8, 4.762, 20.0, 0.0),
        "6002": (9, 4.762, 23.5, 0.0),
        "6003": (10, 4.762, 26.0, 0.0),
        "6004": (9, 6.35, 31.0, 0.0),
        "6005": (10, 6.35, 36.0, 0.0),
        "6006": (11, 7.144, 42.5, 0.0),
        "6007": (11, 7.938, 48.5, 0.0),
        "6008": (12, 7.938, 54.0, 0.0),
        "6009": (13, 8.731, 60.0, 0.0),
        "6010": (14, 8.731, 65.0, 0.0),
        "6011": (13, 10.319, 72.5, 0.0),
        "6012": (14, 10.319, 77.5, 0.0),
        "6013": (15, 10.319, 82.5, 0.0),
        "6014": (14, 11.906, 90.0, 0.0),
        "6015": (15, 11.906, 95.0, 0.0),
        "6200": (8, 4.762, 20.0, 0.0),
        "6201": (7, 5.953, 22.0, 0.0),
        "6202": (8, 5.953, 25.0, 0.0),
        "6203": (8, 6.746, 28.5, 0.0),
        "6204": (8, 7.938, 33.5, 0.0),
        "6205": (9, 7.940, 39.04, 0.0),  # as published for the CWRU rig
        "6206": (9, 9.525, 46.0, 0.0),
        "6207": (9, 11.112, 53.5, 0.0),
        "6208": (9, 11.906, 60.0, 0.0),
        "6209": (9, 12.7, 65.0, 0.0),
        "6210": (10, 12.7, 70.0, 0.0),
        "6211": (10, 14.288, 77.5, 0.0),
        "6212": (10, 15.875, 85.0, 0.0),
        "6213": (10, 16.669, 92.5, 0.0),
        "6214": (10, 17.462, 97.5, 0.0),
        "6215": (11, 17.462, 102.5, 0.0),
        "6216": (10, 19.05, 110.0, 0.0),
        "6302": (7, 7.938, 28.5, 0.0),
        "6303": (7, 8.731, 32.0, 0.0),
        "6304": (7, 9.525, 36.0, 0.0),
        "6305": (7, 11.509, 43.5, 0.0),
        "6306": (8, 12.303, 51.0, 0.0),
        "6307": (8, 13.494, 57.5, 0.0),
        "6308": (8, 15.081, 65.0, 0.0),
        "6309": (8, 17.462, 72.5, 0.0),
        "6310": (8, 19.05, 80.0, 0.0),
        "6311": (8, 20.638, 87.5, 0.0),
        "6312": (8, 22.225, 95.0, 0.0),
        "6313": (8, 23.812, 102.5, 0.0),
        "6314": (8, 25.4, 110.0, 0.0),
        "6315": (8, 26.988, 117.5, 0.0),
        "6316": (8, 28.575, 125.0, 0.0),
        "6804": (13, 3.5, 25.6, 0.0),  # as published for the PRONOSTIA rig
        "UER204": (8, 7.92, 34.55, 0.0),  # as published for the XJTU-SY rig
        "ER-16K": (9, 7.9375, 38.5, 0.0),  # as published for the machinery fault simulator
        "ZA-2115": (16, 8.407, 71.501, 15.17),  # a double row of rollers, as published for the IMS rig
    }
)

_BEFORE = "SKF|FAG|INA|NSK|NTN|KOYO|JTEKT|NACHI|SNR|TIMKEN|RHP|ZWZ|HRB|LYC|C&U|SS|W|S|[ .-]"
"""Makers, and their letters for stainless steel, as far as they are written without a space before a designation."""


def find(designation: str) -> Geometry | None:
    """The geometry of a designation as it is written on parts: maker, seals and clearance do not matter.

    >>> find("SKF 6205-2RS1/C3")
    (9, 7.94, 39.04, 0.0)
    >>> parts = "FAG 6309.2ZR.C3", "NSK6309ZZC3", "ntn 6309llu/5k", "W 6309-2Z", "E2.6309-2Z/C3", "6309 P6"
    >>> all(find(part) == COMMON["6309"] for part in parts)
    True
    >>> find("NU6309") or find("63092") or find("16309")  # others
    >>> find("6899") is None
    True
    """
    written = designation.upper()
    return next((COMMON[name] for name in COMMON if _names(name, written)), None)


def search(text: str) -> list[str]:
    """The designations that hold these letters and digits, or that they name in full.

    >>> search("631")
    ['6310', '6311', '6312', '6313', '6314', '6315', '6316']
    >>> search("ntn 6204 llu")
    ['6204']
    """
    wanted = _plain(text)
    return [name for name in COMMON if (wanted and wanted in _plain(name)) or _names(name, text.upper())]


def _names(name: str, written: str) -> bool:
    plain = re.escape(name).replace(r"\-", "-?")
    return re.search(rf"(?<![A-Z0-9])(?:{_BEFORE})*{plain}(?![0-9])", written) is not None


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
