"""What the demo's plant has besides machines and people: departments, a store, work in steps, and preventive plans.

Nothing of it opens a ticket within a demo: the plans begin weeks after it, and no ticket takes the steps by itself.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from andon.events import SECOND_NS
from andon.plant import Asset, Person, Plant
from andon.positions import Position
from andon.rules.operations import Measurement, Operation, OperationTemplate
from andon.rules.plans import Machines, Meter, Plan, Rhythm, Usage
from simulators.machines import MACHINES

FIRST_PLAN_DAYS = 30
"""A demo at 60 x real time gets there after twelve hours."""
_DEPARTMENTS = {"supervisor": "生产部 Production"}
_MAINTENANCE = "设备部 Maintenance"
_ROWS_M = {"L1": 20.0, "L2": 60.0}
_APART_M = 15.0

DIRECTOR = Person(
    id="qian.rui",
    name="钱睿 Qian Rui",
    role="equipment director",
    lines=("L1", "L2"),
    max_load=1,
    seniority=18,
    department=_MAINTENANCE,
)

GREASING = OperationTemplate(
    code="regrease_bearings",
    zh="轴承补脂与点检",
    en="Regrease and check bearings",
    operations=(
        Operation(code="lock_out", zh="停机挂牌", en="Stop, lock out and tag", minutes=10),
        Operation(code="regrease", zh="清洁油嘴并补脂", en="Clean the nipples and regrease", minutes=20),
        Operation(
            code="run_and_measure",
            zh="试车并测量",
            en="Run and measure",
            minutes=15,
            measurements=(
                Measurement(name="temperature", zh="轴承温度", en="Bearing temperature", unit="Cel", high=80),
                Measurement(name="velocity", zh="振动速度", en="Vibration velocity", unit="mm/s", high=4.5),
            ),
        ),
    ),
)

HOURS = Meter(
    code="operating_hours",
    zh="运行小时",
    en="Operating hours",
    machines=Machines(classes=("compressor",)),
)

_FITS = {
    bearing: "; ".join(sorted({machine.model for machine in MACHINES if machine.bearing == bearing}))
    for bearing in ("6208", "6210", "6311")
}
STORE = (
    """supplier,name,name_zh,grade,status
SKB,Skanda Bearings,斯堪达轴承,A,active
HXT,Hengxin Trading,恒信商贸,C,active
RHL,Runhe Lubricants,润禾润滑,B,active
""",
    f"""code,name,name_zh,unit,min_stock,price,barcode,place,models
6208-C3,Deep groove ball bearing 6208 C3,深沟球轴承 6208 C3,pcs,4,86.00,6900000062088,A-01-03,{_FITS["6208"]}
6210-C3,Deep groove ball bearing 6210 C3,深沟球轴承 6210 C3,pcs,2,118.00,6900000062103,A-01-04,{_FITS["6210"]}
6311-C3,Deep groove ball bearing 6311 C3,深沟球轴承 6311 C3,pcs,4,236.50,6900000063117,A-01-07,{_FITS["6311"]}
GA90-SEP,Oil separator element,油气分离芯,pcs,1,1980.00,6900000090017,B-02-01,GA 90+
LGMT-3,Bearing grease 1 kg,轴承润滑脂 1 kg,can,3,165.00,6900000000318,C-01-01,
""",
    """part,lot,quantity,supplier,brand,received
6208-C3,SKB-2411,6,SKB,Skanda,2026-02-10
6208-C3,HXT-0087,4,HXT,Nordlager,2026-03-16
6210-C3,SKB-2402,3,SKB,Skanda,2026-01-20
6311-C3,SKB-2398,2,SKB,Skanda,2025-12-04
GA90-SEP,SEP-118,2,HXT,Airline,2026-02-27
LGMT-3,RHL-55,8,RHL,Runhe,2026-03-02
""",
)
"""The store as CSV files, in the order in which they are taken in; of the bearing 6311 there are too few."""


def furnished(plant: Plant, began_ns: int) -> Plant:
    """The plant with all of that; its plans begin so many days after the demo did."""
    began = datetime.fromtimestamp(began_ns // SECOND_NS, ZoneInfo(plant.time_zone)).date()
    starts = began + timedelta(days=FIRST_PLAN_DAYS)
    return plant.model_copy(
        update={
            "people": (*(_with_department(one) for one in plant.people), DIRECTOR),
            "assets": tuple(_placed(one, n) for n, one in enumerate(plant.assets)),
            "hourly_rates": {"technician": 120.0, "supervisor": 160.0},
            "operations": (GREASING,),
            "meters": (HOURS,),
            "plans": _plans(starts),
        }
    )


def _with_department(one: Person) -> Person:
    return one.model_copy(update={"department": _DEPARTMENTS.get(one.role, _MAINTENANCE)})


def _placed(one: Asset, number: int) -> Asset:
    """The machines of a line stand in a row."""
    position = Position(x_m=_APART_M * (number % 10 + 1), y_m=_ROWS_M[one.line])
    return one.model_copy(update={"position": position})


def _plans(starts: date) -> tuple[Plan, ...]:
    return (
        Plan(
            code="pumps_and_fans",
            zh="泵与风机轴承补脂",
            en="Regrease pumps and fans",
            machines=Machines(classes=("pump", "fan")),
            rhythm=Rhythm(every=3, unit="month", starts=starts),
            lead_days=3,
            late_days=7,
            operations=GREASING.code,
        ),
        Plan(
            code="compressor_service",
            zh="空压机保养",
            en="Compressor service",
            machines=Machines(classes=("compressor",)),
            rhythm=Rhythm(every=12, unit="month", starts=starts + timedelta(days=12)),
            usage=Usage(meter=HOURS.code, each=4000, ahead=100),
            based_on="completed",
            lead_days=7,
            late_days=14,
            instructions="更换油气分离芯与滤芯，检查油位。Replace separator and filters, check the oil level.",
        ),
    )
