"""Stop episodes: the PackML states a machine goes through, and the reason that MES gives for it.

A stop is one walk Execute, Stopping, Stopped, Resetting, Idle, Starting, Execute (ISA-TR88.00.02). With a reason
it raises a stop alarm when the machine has stopped and clears it when somebody resets; without one it is an
ordinary restart, and only the states tell of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from andon.events import SECOND_NS, PackMLState


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a machine stopped, as MES words it (PackMLAlarmDataType: ID, Value, Message, Category)."""

    id: str
    value: int
    message: str
    category: str
    severity: int


REASONS = (
    Reason("JAM_OUTFEED", 2101, "出料口卡料 · Part jammed at the outfeed", "mechanical", 600),
    Reason("GUARD_OPEN", 2202, "安全门打开 · Safety guard opened", "safety", 700),
    Reason("HYD_LOW_PRESSURE", 2303, "液压压力过低 · Hydraulic pressure low", "hydraulic", 800),
    Reason("DRIVE_OVERLOAD", 2404, "驱动器过载 · Drive overload tripped", "electrical", 800),
    Reason("PROX_SENSOR_LOST", 2505, "接近开关信号丢失 · Proximity switch signal lost", "electrical", 600),
    Reason("TOOL_WORN", 2606, "刀具磨损超限 · Tool wear limit reached", "tooling", 500),
    Reason("LUBE_FLOW", 2707, "润滑流量不足 · Lubricant flow too low", "mechanical", 700),
    Reason("AIR_PRESSURE", 2808, "气源压力不足 · Compressed air too low", "pneumatic", 600),
    Reason("CHUCK_CLAMP", 2909, "夹具未夹紧 · Fixture not clamped", "mechanical", 600),
    Reason("MATERIAL_MISSING", 3010, "缺料 · No material at the infeed", "material", 400),
)
VIBRATION_TRIP = Reason("VIB_TRIP", 3111, "振动保护停机 · Stopped by the vibration switch", "mechanical", 900)

STOPPING_S, RESETTING_S, IDLE_S, STARTING_S = 10, 14, 6, 30


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of one machine from `at_ns` (Stopping) to `running_ns` (Execute again)."""

    asset: str
    at_ns: int
    running_ns: int
    reason: Reason | None = None

    @property
    def stopped_ns(self) -> int:
        """When the machine stands still; its alarm becomes active then."""
        return self.at_ns + STOPPING_S * SECOND_NS

    @property
    def resetting_ns(self) -> int:
        """When somebody resets it; its alarm clears then."""
        return self.running_ns - (RESETTING_S + IDLE_S + STARTING_S) * SECOND_NS

    @property
    def starting_ns(self) -> int:
        """When the shaft begins to turn again."""
        return self.running_ns - STARTING_S * SECOND_NS

    def states(self) -> Iterator[tuple[int, PackMLState]]:
        """Each state with the time the machine enters it, Execute last."""
        yield self.at_ns, PackMLState.STOPPING
        yield self.stopped_ns, PackMLState.STOPPED
        yield self.resetting_ns, PackMLState.RESETTING
        yield self.starting_ns - IDLE_S * SECOND_NS, PackMLState.IDLE
        yield self.starting_ns, PackMLState.STARTING
        yield self.running_ns, PackMLState.EXECUTE

    def state(self, at_ns: int) -> PackMLState:
        """The state at a time; Execute before and after the stop."""
        state = PackMLState.EXECUTE
        for since_ns, entered in self.states():
            if since_ns > at_ns:
                break
            state = entered
        return state
