"""A source's process loads what it collects with and no more, so that it starts at once and stays small."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("scipy", "river", "sqlalchemy", "fastapi", "rich", "duckdb", "pandas")
SHOW = "import sys, andon.__main__, andon.parts.source, ingest.{kind}; print(*sorted(sys.modules))"
COLLECTORS = sorted(
    path.stem
    for path in (ROOT / "ingest").glob("*.py")
    if "async def run(parameters: Parameters, at: SourceContext)" in path.read_text("utf-8")
)


def test_the_three_kinds_of_source_are_found() -> None:
    assert COLLECTORS == ["listener", "mqtt", "opcua"]


@pytest.mark.parametrize("kind", COLLECTORS)
def test_a_source_loads_neither_numerics_nor_sql_nor_web(kind: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", SHOW.format(kind=kind)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in loaded} & set(HEAVY) == set()
