"""Who may do what: the routes of the console with what each asks for, written out as `docs/rights.md`."""

import ast
import inspect
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute

from andon.access.roles import RIGHTS, Right, Role
from api.app import create_app
from api.rights import Needs, asked
from tests.shop_floor import ShopFloor

TABLE = Path(__file__).parents[1] / "docs" / "rights.md"

HEAD = """# Who may do what

Written by `make rules` from the code; a test holds both together, and another asks every route as every role, for a
thing at its own place and at a foreign one. An account has roles, and places: paths of the ISA-95 hierarchy, such as
`acme/east/press`. What stands elsewhere is not there for it: no list has it, no count counts it, and its address answers
404. What concerns no machine (Andon's own tickets, dead letters) is seen by accounts without places. A partner is another
company: it sees nothing before it is let in somewhere. A device has no rights here: it speaks on its own topic.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """One route: `needs` is what it asks for, as often as it does."""

    method: str
    path: str
    needs: tuple[Needs, ...]

    @property
    def name(self) -> str:
        """As a request begins."""
        return f"{self.method} {self.path}"


def routes_of(app: FastAPI) -> list[Route]:
    """Every route of the application but the folders of static files."""
    return sorted(_walk(app.routes, "", ()), key=lambda one: (one.path, one.method))


def _walk(routes: Iterable[Any], prefix: str, above: tuple[Needs, ...]) -> Iterator[Route]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _walk(inner.routes, prefix + route.include_context.prefix, above)
        elif isinstance(route, APIRoute | APIWebSocketRoute):
            methods = route.methods if isinstance(route, APIRoute) else {"WS"}
            for method in methods:
                path = re.sub(r":\w+}", "}", prefix + route.path)
                yield Route(method, path, (*above, *asked(route)))
        elif not hasattr(route, "app") or hasattr(route, "methods"):
            yield Route("?", prefix + route.path, ())


def page(app: FastAPI) -> str:
    """The text of `docs/rights.md`."""
    lines = [HEAD, "## Roles\n", "| right | what it is | " + " | ".join(map(_role, Role)) + " |"]
    lines.append("|---|---|" + "---|" * len(Role))
    for right in Right:
        marks = " | ".join("x" if right in RIGHTS[role] else "" for role in Role)
        lines.append(f"| {right} | {_SAID[right]} | {marks} |")
    lines += [
        "\n## Routes\n",
        "*whole plant*: only for accounts without places.\n",
        "| route | right | |",
        "|---|---|---|",
    ]
    for route in routes_of(app):
        one = route.needs[0] if route.needs else None
        what = str(one.right) if one else "open"
        lines.append(f"| `{route.name}` | {what} | {'whole plant' if one and one.whole else ''} |")
    return "\n".join(lines) + "\n"


def _role(role: Role) -> str:
    return role.replace("_", " ")


def _said() -> dict[Right, str]:
    """What stands below each right where it is defined."""
    body = ast.parse(inspect.getsource(Right)).body[0]
    assert isinstance(body, ast.ClassDef)
    names: list[str] = []
    said: dict[Right, str] = {}
    for node in body.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.append(node.targets[0].id)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and names:
            said[Right[names.pop()]] = str(node.value.value)
    return said


_SAID = _said()


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(page(create_app(ShopFloor(Path(folder)).context)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
