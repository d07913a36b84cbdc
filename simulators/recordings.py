"""Recorded machines as sources: a real run to failure is sent as the waveform blocks that its sensor would have sent.

FEMTO-ST PRONOSTIA (Nectoux et al., IEEE PHM 2012): one bearing worn down in hours, 0.1 s at 25.6 kHz every 10 s on
two axes. The recordings stay outside the project; the folder is given by the user.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from andon.events import SECOND_NS, Int32
from andon.plant import Asset, Bearing, DetectorSettings, Plant, Point
from simulators.chance import identity
from simulators.machines import PEOPLE
from simulators.messages import MqttMessage, waveform_block

RATE_HZ = 25_600.0
PERIOD_NS = 10 * SECOND_NS
MILLI_G = 0.001
SPEED_HZ = {1: 30.0, 2: 27.5, 3: 25.0}  # by operating condition: 1800, 1650 and 1500 rpm
BEARING = Bearing(designation="PRONOSTIA", rolling_elements=13, element_diameter=3.5, pitch_diameter=25.6)
_NAME = re.compile(r"Bearing([123])_(\d+)")
_PATH = "femto-st/besancon/laboratory/pronostia/rig-1"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One bearing from new to failed: `samples` (blocks, n, 2) int32 in thousandths of g, horizontal and vertical.

    Block k was taken at `start_ns` + k x 10 s: two time stamps of the recordings are wrong, the order is not.
    """

    name: str
    start_ns: int
    samples: Int32
    plant: Plant

    def __len__(self) -> int:
        return int(self.samples.shape[0])

    @property
    def end_ns(self) -> int:
        """The time after the last block: the end of the bearing's life."""
        return self.start_ns + len(self) * PERIOD_NS

    def due(self, from_ns: int, to_ns: int) -> Iterator[MqttMessage]:
        """The blocks taken from `from_ns` to before `to_ns`."""
        first = max(0, -((self.start_ns - from_ns) // PERIOD_NS))
        last = min(len(self), -((self.start_ns - to_ns) // PERIOD_NS))
        for number in range(first, last):
            yield self.message(number)

    def message(self, number: int) -> MqttMessage:
        """Block `number` as its sensor would publish it."""
        asset = self.plant.assets[0]
        at_ns = self.start_ns + number * PERIOD_NS
        block = waveform_block(
            self.samples[number],
            at_ns=at_ns,
            rate_hz=RATE_HZ,
            scale=MILLI_G,
            boot=identity("recording", self.name, self.start_ns),
            block_seq=number,
            sensor=f"{asset.id}/DE",
        )
        return MqttMessage(at_ns, f"andon/v1/{asset.path}/{asset.id}/_wave/DE", block)


def femto(path: Path, start_ns: int) -> Recording:
    """The recording in `path` (BearingC_N.npz with `h_millig` and `v_millig`, int32 (blocks, n)).

    FileNotFoundError names what is missing and where it was looked for; ValueError says what is wrong with it.
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise ValueError(
            f"{path.name} is no FEMTO recording: wanted is BearingC_N.npz with condition C = 1, 2 or 3"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no recording {path.name}: looked in {path.parent.resolve()}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            axes = [np.asarray(archive[axis], dtype="<i4") for axis in ("h_millig", "v_millig")]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a FEMTO recording: {error}") from error
    if axes[0].ndim != 2 or axes[0].shape != axes[1].shape or not axes[0].size:
        raise ValueError(f"{path}: the two axes have the shapes {axes[0].shape} and {axes[1].shape}")
    samples = np.stack(axes, axis=-1)
    return Recording(path.stem, start_ns, samples, _plant(path.stem, SPEED_HZ[int(match[1])]))


def _plant(name: str, speed_hz: float) -> Plant:
    """The rig: one bearing under test, watched by the detectors that need no velocity limits."""
    point = Point(
        id="DE", component="bearing_de", kind="waveform", period_s=10, bearing=BEARING, speed_hz=speed_hz
    )
    asset = Asset(
        id=name,
        name=f"Bearing test rig, {name}",
        name_zh=f"轴承试验台 {name}",
        asset_class="test_rig",
        model="PRONOSTIA",
        criticality="A",
        path=_PATH,
        power_kw=0.25,
        points=(point,),
        owner="sun.hao",
    )
    detectors = (DetectorSettings(kind="band_energy"), DetectorSettings(kind="bearing_element"))
    return Plant(
        name="PRONOSTIA",
        time_zone="Europe/Paris",
        assets=(asset,),
        people=tuple(person.model_copy(update={"lines": ()}) for person in PEOPLE),
        classes={"test_rig": detectors},
        skills={"machine_condition": "bearing"},
    )
