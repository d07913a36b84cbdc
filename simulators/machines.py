"""The machines and people of the simulated plant: twenty machines on two lines, as the plant document has them."""

from dataclasses import dataclass
from typing import Literal

from andon.plant import Asset, Bearing, DetectorSettings, Person, Plant, Point
from simulators.messages import Channel

SILENT_S = 600.0  # ten seconds at the demo's speed: a restart of the plant's own process is no dead sensor
FIRST_WORD_S = 1800.0  # the story begins before the plant's process is up
BLOCK_S = 10  # between two waveform blocks of a point, and between two readings of a channel

_BEARINGS = {
    "6206": Bearing(designation="6206", rolling_elements=9, element_diameter=9.525, pitch_diameter=46.0),
    "6208": Bearing(designation="6208", rolling_elements=9, element_diameter=11.906, pitch_diameter=60.0),
    "6211": Bearing(designation="6211", rolling_elements=10, element_diameter=14.288, pitch_diameter=77.5),
    "6212": Bearing(designation="6212", rolling_elements=10, element_diameter=15.081, pitch_diameter=85.0),
    "6311": Bearing(designation="6311", rolling_elements=8, element_diameter=20.638, pitch_diameter=85.0),
    "6210": Bearing(designation="6210", rolling_elements=10, element_diameter=12.7, pitch_diameter=70.0),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """One row of the table below."""

    id: str
    name: str
    name_zh: str
    asset_class: str
    model: str
    power_kw: float
    speed_hz: float
    bearing: str
    waveforms: tuple[str, ...] = ()
    criticality: Literal["A", "B", "C"] = "B"

    @property
    def line(self) -> str:
        """The line it stands in."""
        return self.id[:2]

    @property
    def channel(self) -> Channel:
        """How its controller speaks, by line; waveforms always come by MQTT."""
        return "mqtt" if self.line == "L1" else "opcua"

    @property
    def path(self) -> str:
        """Its place: enterprise/site/area/line/cell."""
        area, cell = ("machining", "cell-1") if self.line == "L1" else ("casting", "cell-2")
        return f"lakeside/wuxi/{area}/{self.line}/{cell}"


# fmt: off
MACHINES = (
    Machine("L1-SPN-01", "Turning spindle 1", "车削主轴 1", "spindle", "DS-37/HSK63", 37, 41.7, "6210", ("DE",), "A"),
    Machine("L1-SPN-02", "Milling spindle 2", "铣削主轴 2", "spindle", "DS-45/HSK100", 45, 36.2, "6210", ("DE",), "A"),
    Machine("L1-CLP-01", "Coolant pump 1", "冷却液泵 1", "pump", "NK 80-250/37", 37, 24.6, "6208", ("DE",)),
    Machine("L1-CLP-02", "Coolant pump 2", "冷却液泵 2", "pump", "NK 80-250/37", 37, 24.7, "6208", ("DE",)),
    Machine("L1-FAN-01", "Mist extraction fan", "油雾排风机", "fan", "RZR 15-630", 30, 24.5, "6208", ("DE", "NDE")),
    Machine("L1-HYD-01", "Hydraulic power unit", "液压站", "hydraulics", "A10VSO-71", 45, 24.6, "6208"),
    Machine("L1-CNV-01", "Chip conveyor", "排屑输送机", "conveyor", "KF87-DRN180", 30, 24.4, "6206", (), "C"),
    Machine("L1-WSH-01", "Parts washer", "零件清洗机", "washer", "CR 45-4", 30, 48.8, "6206"),
    Machine("L1-PRS-01", "Assembly press", "装配压机", "press", "HPM-160T", 55, 24.7, "6212", (), "A"),
    Machine("L1-GRD-01", "Gear grinder", "磨齿机", "grinder", "LGG-280", 45, 32.5, "6208", (), "A"),
    Machine("L2-CMP-01", "Air compressor 1", "空压机 1", "compressor", "GA 90+", 90, 49.3, "6311", ("DE",), "A"),
    Machine("L2-CMP-02", "Air compressor 2", "空压机 2", "compressor", "GA 90+", 90, 49.2, "6311", ("DE",), "A"),
    Machine("L2-FAN-01", "Combustion air fan", "助燃风机", "fan", "4-72-8C/45", 45, 24.6, "6212", ("DE", "NDE"), "A"),
    Machine("L2-FAN-02", "Flue gas fan", "排烟风机", "fan", "Y4-73-10D/55", 55, 24.5, "6212", ("DE",)),
    Machine("L2-CWP-01", "Cooling water pump", "冷却水泵", "pump", "KQSN 200/75", 75, 24.7, "6212", ("DE",)),
    Machine("L2-MIX-01", "Sand mixer", "混砂机", "mixer", "S2518-55", 55, 24.3, "6212"),
    Machine("L2-DCM-01", "Die-casting machine 1", "压铸机 1", "press", "DCC-1250", 90, 24.6, "6212", (), "A"),
    Machine("L2-DCM-02", "Die-casting machine 2", "压铸机 2", "press", "DCC-1250", 90, 24.6, "6212", (), "A"),
    Machine("L2-CNV-01", "Casting conveyor", "铸件输送线", "conveyor", "KF97-DRN200", 30, 24.4, "6206", (), "C"),
    Machine("L2-SHB-01", "Shot blaster", "抛丸机", "blaster", "Q3730-60", 60, 48.7, "6211"),
)
# fmt: on

PEOPLE = (
    Person(
        id="wang.lei",
        name="王磊 Wang Lei",
        role="technician",
        tags=("bearing", "mechanical"),
        lines=("L1", "L2"),
    ),
    Person(
        id="li.na",
        name="李娜 Li Na",
        role="technician",
        tags=("electrical", "instruments"),
        lines=("L1", "L2"),
    ),
    Person(
        id="zhang.wei",
        name="张伟 Zhang Wei",
        role="technician",
        tags=("mechanical", "hydraulics"),
        lines=("L1",),
    ),
    Person(
        id="chen.jing",
        name="陈静 Chen Jing",
        role="technician",
        tags=("bearing", "mechanical"),
        lines=("L2",),
    ),
    Person(
        id="liu.yang",
        name="刘洋 Liu Yang",
        role="technician",
        tags=("instruments", "electrical"),
        lines=("L2",),
    ),
    Person(
        id="zhao.min",
        name="赵敏 Zhao Min",
        role="technician",
        tags=("mechanical", "hydraulics"),
        lines=("L2",),
    ),
    Person(
        id="sun.hao", name="孙浩 Sun Hao", role="supervisor", tags=("mechanical",), lines=("L1",), max_load=3
    ),
    Person(
        id="zhou.ting",
        name="周婷 Zhou Ting",
        role="supervisor",
        tags=("mechanical",),
        lines=("L2",),
        max_load=3,
    ),
    Person(id="wu.gang", name="吴刚 Wu Gang", role="planner", tags=(), lines=("L1", "L2"), max_load=1),
)
_OWNERS = {"L1": "sun.hao", "L2": "zhou.ting"}

_SKILLS = {
    "machine_condition": "bearing",
    "temperature": "mechanical",
    "electrical": "electrical",
    "data_quality": "instruments",
    "stop": "mechanical",
    "mechanical": "mechanical",
    "tooling": "mechanical",
    "material": "mechanical",
    "safety": "mechanical",
    "pneumatic": "hydraulics",
    "hydraulic": "hydraulics",
}

_WATCHED = (
    DetectorSettings(kind="velocity_zones"),
    DetectorSettings(kind="silent_sensor", parameters={"minimum_s": SILENT_S, "grace_s": FIRST_WORD_S}),
    DetectorSettings(kind="stop_alarm"),
    DetectorSettings(kind="stop_pattern"),
    DetectorSettings(kind="chattering"),
    DetectorSettings(kind="irregular_sensor"),
)
_HEARD = (
    *_WATCHED,
    DetectorSettings(
        kind="band_energy", parameters={"settle_blocks": 0, "learn_blocks": 45}
    ),  # run in long ago
    DetectorSettings(kind="bearing_element"),
    DetectorSettings(kind="machine_fault"),
)


def points_of(machine: Machine) -> tuple[Point, ...]:
    """Its measuring points. The scalar velocity belongs to the drive-end bearing: one cause, one ticket."""
    bearing = _BEARINGS[machine.bearing]
    drive_end = Point(
        id="DE",
        component="bearing_de",
        kind="waveform" if "DE" in machine.waveforms else "scalar",
        quantities={"temperature": "Cel"},
        period_s=BLOCK_S,
        bearing=bearing,
        speed_hz=machine.speed_hz,
    )
    velocity = Point(
        id="VEL",
        component="bearing_de",
        quantities={"velocity_rms": "mm/s"},
        period_s=BLOCK_S,
        speed_hz=machine.speed_hz,
    )
    motor = Point(id="M", component="motor", quantities={"current": "A"}, period_s=BLOCK_S)
    if "NDE" not in machine.waveforms:
        return drive_end, velocity, motor
    other_end = Point(
        id="NDE",
        component="bearing_nde",
        kind="waveform",
        period_s=BLOCK_S,
        bearing=bearing,
        speed_hz=machine.speed_hz,
    )
    return drive_end, other_end, velocity, motor


def plant_document() -> Plant:
    """The plant document of the demo."""
    assets = tuple(
        Asset(
            id=machine.id,
            name=machine.name,
            name_zh=machine.name_zh,
            asset_class=machine.asset_class,
            model=machine.model,
            serial=f"SN{20_19_000 + number * 37}",
            criticality=machine.criticality,
            path=machine.path,
            power_kw=machine.power_kw,
            points=points_of(machine),
            owner=_OWNERS[machine.line],
        )
        for number, machine in enumerate(MACHINES, start=1)
    )
    heard = {machine.asset_class for machine in MACHINES if machine.waveforms}
    return Plant(
        name="湖滨传动 · Lakeside Drivetrain",
        time_zone="Asia/Shanghai",
        assets=assets,
        people=PEOPLE,
        classes={m.asset_class: _HEARD if m.asset_class in heard else _WATCHED for m in MACHINES},
        skills=_SKILLS,
        priorities={"safety": "critical", "material": "low"},
    )
