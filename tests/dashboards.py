"""What the files of deploy/ ask for: every query of the dashboards, every rule of the alerts, as Grafana would send it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parents[1] / "deploy"
FOLDER = DEPLOY / "grafana" / "dashboards"


@dataclass(frozen=True)
class Asked:
    """One query of one panel of a dashboard, or of one of its variables."""

    dashboard: str
    panel: str
    text: str
    legend: str = ""

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.text}"


def boards() -> dict[str, Mapping[str, Any]]:
    """Every dashboard by its file's name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def asked(uid: str) -> Iterator[Asked]:
    """Every query that goes to one data source."""
    for name, board in boards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                if target["datasource"]["uid"] == uid:
                    legend = target.get("legendFormat", target.get("alias", ""))
                    yield Asked(name, panel["title"], target.get("expr") or target["query"], legend)
        for variable in board["templating"]["list"]:
            if variable["datasource"]["uid"] == uid:
                yield Asked(name, variable["name"], variable["query"])


def families(exposition: str) -> dict[str, str]:
    """The names of the metrics in a text of /metrics, with their types."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE))


def named(expression: str) -> set[str]:
    """The metrics of ours that an expression names; a summary's sum and count under the summary's name.

    >>> sorted(named('rate(andon_triage_seconds_sum[1h]) / andon_ready'))
    ['andon_ready', 'andon_triage_seconds']
    """
    return {re.sub(r"_(sum|count)$", "", name) for name in re.findall(r"\bandon_[a-z_]+", expression)}
