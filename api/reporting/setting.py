"""Sets a report as PDF with Typst: one template, data beside it, and the fonts that the language needs.

The library is loaded here and nowhere else: it is 80 MB that no other page needs.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from andon.config import ConfigError
from api.catalogue import TAGS, Language
from api.reporting.sheet import Sheet

TEMPLATE = Path(__file__).with_name("report.typ")
CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "SimSun",
)
"""Families with the signs of simplified Chinese, the best to read first."""
LATIN = ("Noto Sans", "DejaVu Sans", "Liberation Sans", "Arial", "Libertinus Serif")
"""The last is inside the library itself."""


class NoFont(ConfigError):
    """The machine has no font with Chinese signs; the text says what to install."""


@cache
def families() -> frozenset[str]:
    """The font families of this machine, and those inside the library."""
    import typst  # noqa: PLC0415 - see above

    return frozenset(typst.Fonts(include_system_fonts=True).families())


def fonts(language: Language) -> Sequence[str]:
    """The fonts that a report is set in: Latin letters and figures first; NoFont for Chinese without any.

    An English report takes a Chinese font too where there is one: people and machines have Chinese names.
    """
    chinese = next((one for one in CHINESE if one in families()), None)
    if chinese is None and language == "zh":
        raise NoFont(
            "no font of this machine has Chinese signs; install one: fonts-noto-cjk on Debian and Ubuntu, "
            "google-noto-sans-cjk-fonts on Fedora and Red Hat"
        )
    latin = [one for one in LATIN if one in families()][:1]
    return [chinese] if chinese and language == "zh" else [*latin, *([chinese] if chinese else [])]


def set_pdf(sheet: Sheet, out: Path, *, plant: str, made: str, language: Language) -> None:
    """Write the report to a file; NoFont, or OSError where it cannot be written."""
    import typst  # noqa: PLC0415 - see above

    said = {
        "title": sheet.title,
        "subtitle": sheet.subtitle,
        "plant": plant,
        "made": made,
        "language": TAGS[language].partition("-")[0],
        "fonts": fonts(language),
        "wide": sheet.wide,
        "blocks": list(sheet.blocks),
    }
    with tempfile.TemporaryDirectory(prefix="andon-report-") as folder:
        place = Path(folder)
        shutil.copy(TEMPLATE, place)
        for name, path in sheet.pictures.items():
            shutil.copy(path, place / name)
        written = typst.compile(
            str(place / TEMPLATE.name), root=folder, sys_inputs={"said": json.dumps(said, ensure_ascii=False)}
        )
    whole = out.with_name(out.name + ".part")
    whole.write_bytes(written)
    whole.replace(out)
