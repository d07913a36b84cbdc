"""AWB1 blocks become waveforms, wherever they travel: as an MQTT payload, inside OPC UA or Sparkplug bytes."""

from andon.events import Waveform
from ingest.blocks import Run
from ingest.once import follows
from ingest.retained import is_state
from ingest.waveform import decode_block

DEFAULT_WAVE_UNIT = "g"


def take(run: Run) -> None:
    """Take a message that is a block, of the measuring point that the route names."""
    block(run, run.record.body)


def block(run: Run, body: bytes) -> None:
    """Take a block that the record holds."""
    said = decode_block(body)
    at_ns = run.at(said.at_ns)
    # The topic belongs to it: a sensor may number the blocks of each of its points by itself.
    key = f"{run.record.topic.decode()}\x00{said.sensor}\x00{said.boot}"
    point_id = run.route.name
    if not follows(run, key=key, number=said.number, sent_ns=said.at_ns, at_ns=at_ns, point=point_id):
        return
    equipment = run.equipment()
    point = equipment.point(point_id)
    run.stored += 1
    if is_state(run, said.at_ns):
        return  # it lies in the journal; features of a shape long past would be judged as of now
    wave = Waveform(
        asset=equipment.id,
        point=point.id,
        at_ns=at_ns,
        rate_hz=said.rate_hz,
        samples=said.samples,
        unit=said.unit or DEFAULT_WAVE_UNIT,
        speed_hz=said.speed_hz,
        origin=run.origin(),
    )
    run.put(wave, equipment.id)
