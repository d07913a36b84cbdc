"""The code on a machine (rule 7): what is scanned opens the report form with the machine filled in."""

from urllib.parse import urlencode

import segno

QUIET = 4
"""Modules of white around a code (ISO/IEC 18004, 6.3.8)."""


def scan_address(console: str, asset: str) -> str:
    """The address that a machine's code stands for, at the console of that address.

    >>> scan_address("https://andon.example", "L1-SPN-01")
    'https://andon.example/report?channel=scan&asset=L1-SPN-01'
    """
    return f"{console.rstrip('/')}/report?{urlencode({'channel': 'scan', 'asset': asset})}"


def code_svg(text: str) -> str:
    """A QR code of that text as an SVG element that scales; a quarter of it may be dirty (level Q) and it is still read."""
    return str(
        segno.make_qr(text, error="q").svg_inline(
            border=QUIET, omitsize=True, dark="#000", light="#fff", svgclass="code", lineclass=None
        )
    )
