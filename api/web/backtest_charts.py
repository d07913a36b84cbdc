"""What a back-test shows as charts: tickets over time of both variants, and a sweep's alarms beside what they catch."""

from collections.abc import Mapping

from andon.events import Json, nanoseconds
from api.catalogue import Words
from api.web.charts import Chart
from api.web.formats import PlantTime, number


def tickets_chart(facts: Mapping[str, Json], words: Words, time: PlantTime) -> Chart:
    """How many tickets each variant had opened by when."""
    from_ns, to_ns = nanoseconds(facts["from"]), nanoseconds(facts["to"])
    lines, rows = [], []
    for side in ("active", "changed"):
        opened = sorted(nanoseconds(row[f"{side}_at"]) for row in facts["tickets"] if row[f"{side}_at"])
        points = [(from_ns, 0), *((at_ns, count) for count, at_ns in enumerate(opened, 1))]
        points.append((to_ns, len(opened)))
        name = words(f"backtest.{side}")
        lines.append(
            {
                "name": name,
                "side": side,
                "at_ms": [time.shifted_ms(at_ns) for at_ns, _ in points],
                "times": [time.at(at_ns) for at_ns, _ in points],
                "value": [count for _, count in points],
            }
        )
        rows += [(time.at(at_ns), name, str(count)) for at_ns, count in points[1:-1]]
    title = words("backtest.chart_title")
    summary = words(
        "backtest.chart_summary",
        active=len(facts_of(facts, "active")),
        changed=len(facts_of(facts, "changed")),
    )
    columns = (words("chart.time"), words("backtest.variant"), words("backtest.tickets"))
    spec = {"kind": "steps", "lines": lines, "unit": words("backtest.tickets")}
    return Chart("tickets", title, title, summary, spec, columns, tuple(sorted(rows)))


def facts_of(facts: Mapping[str, Json], side: str) -> list[Mapping[str, Json]]:
    """The tickets that one variant opened."""
    return [row for row in facts["tickets"] if row[f"{side}_at"]]


def sweep_chart(facts: Mapping[str, Json], words: Words) -> Chart | None:
    """Tickets a week, known faults caught and false tickets against the swept parameter; None without a sweep."""
    sweep = facts["sweep"]
    if not sweep["values"]:
        return None
    values = sweep["values"]
    names = ("tickets_per_week", "caught", "false_tickets")
    spec = {
        "kind": "sweep",
        "parameter": sweep["parameter"],
        "value": [row["value"] for row in values],
        "lines": [
            {"name": words(f"backtest.{name}"), "value": [row[name] or 0 for row in values]} for name in names
        ],
    }
    leads = ["–" if row["lead_s"] is None else f"{row['lead_s']['median'] / 60:.0f} min" for row in values]
    rows = tuple(
        (number(row["value"]), *(number(row[name]) for name in names), lead)
        for row, lead in zip(values, leads, strict=True)
    )
    columns = (sweep["parameter"], *(words(f"backtest.{name}") for name in names), words("backtest.lead"))
    title = words("backtest.sweep_title", parameter=sweep["parameter"])
    return Chart("sweep", title, title, words("backtest.sweep_summary"), spec, columns, rows)
