"""In which operating state a machine is: bins of speed and load, their hysteresis, and when none is known."""

import pytest

from andon.events import SECOND_NS
from andon.plant import Asset, Point
from detectors.operating import Axis, Operating, OperatingParameters, forget
from detectors.state import Grown, flatten, load

MOTOR = Point(id="M", component="motor", quantities={"speed": "r/min", "power": "kW"})
PUMP = Point(id="P", component="pump", quantities={"load": "%"})
DE = Point(id="DE", component="bearing_de", kind="waveform")


class Machine:
    """A machine whose speed and load are told second by second."""

    def __init__(self, *points: Point, power_kw: float | None = None, **parameters: float) -> None:
        asset = Asset(id="A", name="", asset_class="pump", path="e/s/a/l/c", points=points, power_kw=power_kw)
        self.axes: Grown[Axis] = Grown(Axis)
        self.operating = Operating(asset, OperatingParameters.model_validate(parameters))
        self.now = 0

    def tell(self, channel: str, value: float, unit: str = "r/min") -> str | None:
        """The state of DE after that."""
        self.now += SECOND_NS
        assert self.operating.tells(channel)
        self.operating.take(self.axes, (channel, unit), self.now, value, "plc")
        return self.state()

    def state(self, settle_s: float = 0, point: str = "DE") -> str | None:
        return self.operating.state_at(self.axes, point, self.now, round(settle_s * SECOND_NS))


def test_a_machine_that_tells_nothing_is_always_in_the_same_state() -> None:
    machine = Machine(DE)
    assert machine.state() == ""
    assert not machine.operating.tells("DE/velocity_rms")
    assert not machine.operating.tells("elsewhere/speed")


def test_the_first_speed_is_the_middle_of_its_bin() -> None:
    machine = Machine(MOTOR, DE)
    states = [machine.tell("M/speed", value) for value in (1480, 1480 * 1.045, 1480 / 1.045)]
    assert states == ["speed 0"] * 3
    assert machine.operating.shape(machine.axes, "DE")["speed"]["from"] == pytest.approx(1411, abs=1)
    assert machine.operating.shape(machine.axes, "DE")["speed"]["to"] == pytest.approx(1552, abs=1)


def test_at_an_edge_a_state_is_left_later_than_it_is_entered() -> None:
    machine = Machine(MOTOR, DE, bin_hysteresis=0.2)
    edge = 1480 * 1.1**0.5
    machine.tell("M/speed", 1480)
    assert machine.tell("M/speed", edge * 1.015) == "speed 0"  # 0.16 of a width beyond the edge
    assert machine.tell("M/speed", edge * 1.025) == "speed 1"
    assert machine.tell("M/speed", edge / 1.015) == "speed 1"
    assert machine.tell("M/speed", edge / 1.025) == "speed 0"


def test_without_hysteresis_the_edge_is_the_edge() -> None:
    machine = Machine(MOTOR, DE, bin_hysteresis=0.0)
    machine.tell("M/speed", 1480)
    assert machine.tell("M/speed", 1480 * 1.1**0.5 * 1.001) == "speed 1"
    assert machine.tell("M/speed", 1480 * 1.1**0.5 / 1.001) == "speed 0"


def test_load_goes_before_power_and_both_speed_and_load_make_the_state() -> None:
    machine = Machine(MOTOR, PUMP, DE)
    machine.tell("M/speed", 1480)
    assert machine.tell("P/load", 95, "%") == "speed 0, load 0"
    assert machine.tell("M/power", 3.0, "kW") == "speed 0, load 0"
    assert machine.tell("P/load", 60, "%") == "speed 0, load -2"


@pytest.mark.parametrize(("unit", "power_kw", "cell"), [("kW", 40.0, -2), ("kW", None, -1), ("W", 0.04, -2)])
def test_power_counts_in_parts_of_the_machines_power_or_of_the_first_seen(
    unit: str, power_kw: float | None, cell: int
) -> None:
    machine = Machine(Point(id="M", component="motor", quantities={"power": unit}), DE, power_kw=power_kw)
    machine.tell("M/power", 80, unit)
    assert machine.tell("M/power", 64, unit) == f"load {cell}"


def test_a_points_own_speed_goes_before_the_machines() -> None:
    machine = Machine(MOTOR, DE, Point(id="NDE", component="gear"))
    machine.tell("M/speed", 1480)
    machine.tell("DE/speed", 5.0, "Hz")
    assert machine.tell("DE/speed", 10.0, "Hz") == "speed 7"
    assert machine.state(point="NDE") == "speed 0"


def test_a_shaft_at_rest_is_in_no_state() -> None:
    machine = Machine(MOTOR, DE)
    assert machine.tell("M/speed", 0.0) is None
    assert machine.tell("M/speed", 1480) == "speed 0"
    assert machine.tell("M/speed", -1.0) is None


def test_a_state_counts_once_it_has_settled_and_not_for_what_was_before() -> None:
    machine = Machine(MOTOR, DE)
    machine.tell("M/speed", 1480)
    assert machine.state(settle_s=30) == "speed 0"  # the first word is no change
    machine.tell("M/speed", 990)
    assert machine.state(settle_s=30) is None
    machine.now += 30 * SECOND_NS
    assert machine.state(settle_s=30) == "speed -4"
    assert machine.operating.state_at(machine.axes, "DE", SECOND_NS, 0) is None


def test_after_a_gap_of_its_source_nothing_is_known_until_it_speaks_again() -> None:
    machine = Machine(MOTOR, DE)
    machine.tell("M/speed", 1480)
    forget(machine.axes, "another")
    assert machine.state() == "speed 0"
    forget(machine.axes, "plc")
    assert machine.state() is None
    assert machine.tell("M/speed", 1480) == "speed 0"


def test_late_words_change_nothing() -> None:
    machine = Machine(MOTOR, DE)
    machine.tell("M/speed", 1480)
    machine.operating.take(machine.axes, ("M/speed", "r/min"), 0, 700.0, "plc")
    assert machine.state() == "speed 0"


def test_the_state_goes_through_a_snapshot() -> None:
    machine, other = Machine(MOTOR, DE), Machine(MOTOR, DE)
    machine.tell("M/speed", 1480)
    machine.tell("M/speed", 990)
    load(other.axes, flatten(machine.axes))
    other.now = machine.now
    assert other.state() == "speed -4"
    assert flatten(other.axes) == flatten(machine.axes)


def test_a_load_that_no_machine_has_is_in_no_state() -> None:
    machine = Machine(PUMP, DE)
    assert [machine.tell("P/load", value, "%") for value in (1e308, 60.0)] == [None, "load 0"]
