"""Values in Andon's own envelope become readings; those that a broker had retained are last known ones."""

from ingest import envelope as words
from ingest.blocks import Run, row
from ingest.envelope import parse
from ingest.once import is_new
from ingest.retained import RETAIN, quality_floor
from ingest.times import source_ns


def take(run: Run) -> None:
    """Take a telemetry message."""
    message = parse(words.TELEMETRY, run.record.body)
    metrics = message.data.metrics
    sent_ns = None if message.time is None else source_ns(message.time)
    at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
    timed = sent_ns is not None or all(metric.ts is not None for metric in metrics)
    if not is_new(run, message, sent_ns=sent_ns, at_ns=at_ns, timed=timed):
        return
    equipment = run.equipment()
    if sent_ns is None and timed:
        sent_ns = min(source_ns(metric.ts) for metric in metrics if metric.ts is not None)
    floor = quality_floor(run, sent_ns) if run.record.flags & RETAIN else 0
    known = equipment.channels
    rows = [
        row(
            at_ns if metric.ts is None else run.at(source_ns(metric.ts)),
            known.get((metric.name, metric.unit)) or equipment.channel(metric.name, metric.unit),
            metric.value,
            metric.quality if metric.quality > floor else floor,  # noqa: FURB136 -- a call costs more, per value
        )
        for metric in metrics
    ]
    run.add(equipment.id, rows)
    run.stored += 1
