"""A page of the console as one file: styles, scripts and the chart library inside it, and nothing that asks a network.

Each of our script modules becomes a function that gives what it exports, in the order in which they need each other:
the same code draws here and in the console. The policy names what may run by its hash.
"""

import base64
import re
from functools import cache
from hashlib import sha256

from markupsafe import Markup

from andon.plant import Plant
from api.catalogue import Words
from api.pages import SHEETS, WEB, environment
from api.web.explained import Explanation
from api.web.formats import PlantTime

LIBRARY = WEB / "vendor" / "echarts.js"
_IMPORT = re.compile(r'^import \{ ([^}]+) \} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const) (\w+))", re.MULTILINE)
_START = "const { drawCharts, watchCharts } = charts;\nwatchCharts();\ndrawCharts(document);\n"


class LibraryMissing(Exception):
    """The chart library is not installed; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "the chart library is missing: run `python hatch_build.py`, or install Andon from its wheel"
        )


def page_of(it: Explanation, plant: Plant, words: Words, time: PlantTime) -> str:
    """The finding's page as one HTML file; LibraryMissing if there is nothing to draw with."""
    styles, scripts = _styles(), [_library(), bundle("charts")]
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(styles)}; "
        f"script-src {' '.join(map(_hash, scripts))}; base-uri 'none'; form-action 'none'"
    )
    return (
        environment()
        .get_template("alone.html")
        .render(
            t=words,
            time=time,
            plant=plant,
            it=it,
            live=False,
            policy=policy,
            styles=Markup(styles),  # noqa: S704  our own files
            scripts=[Markup(script) for script in scripts],  # noqa: S704
        )
    )


@cache
def _styles() -> str:
    return "".join((WEB / "static" / f"{sheet}.css").read_text("utf-8") for sheet in SHEETS)


@cache
def _library() -> str:
    if not LIBRARY.is_file():
        raise LibraryMissing
    return _closed(LIBRARY.read_text("utf-8"))


@cache
def bundle(name: str) -> str:
    """The module and all that it imports as one classic script that starts it."""
    modules: dict[str, str] = {}
    _collect(name, modules)
    return _closed('"use strict";\n(() => {\n' + "".join(modules.values()) + _START + "})();\n")


def _collect(name: str, modules: dict[str, str]) -> None:
    if name in modules:
        return
    text = (WEB / "static" / f"{name}.js").read_text("utf-8")
    for _, needed in _IMPORT.findall(text):
        _collect(needed, modules)
    text = _IMPORT.sub(r"const { \1 } = \2;\n", text)
    exported = ", ".join(found[1] for found in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1", text)
    modules[name] = f"const {name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


def _closed(script: str) -> str:
    """The script so that nothing in it ends the element that it stands in."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
