"""How tickets are brought to an end at this site: causes, scene tags, who approves, and how long things may take."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Label(BaseModel):
    """What a code is called; a retired one stays readable and cannot be chosen any more."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    zh: str = Field(min_length=1, max_length=100, description="in Chinese")
    en: str = Field(min_length=1, max_length=100, description="in English")
    retired: bool = Field(default=False, description="readable, but not to be chosen any more")


SCENE_TAGS: Mapping[str, Label] = {
    "new_staff_misoperation": Label(zh="新员工误操作", en="Misoperation by new staff"),
    "old_equipment_compatibility": Label(zh="老旧设备兼容性", en="Compatibility of old equipment"),
    "third_party_interface": Label(zh="第三方系统对接异常", en="Interface to a third-party system"),
    "wear_in_service": Label(zh="正常磨损", en="Wear in service"),
    "maintenance_overdue": Label(zh="保养不到位", en="Maintenance overdue"),
    "part_quality": Label(zh="备件质量", en="Quality of a part"),
    "process_change": Label(zh="工艺变更", en="Change of process or product"),
    "environment": Label(zh="现场环境", en="Surroundings: heat, dust, water, vibration"),
    "sensor_or_wiring": Label(zh="传感器或接线", en="Sensor or wiring"),
    "alarm_setting": Label(zh="报警设置不当", en="Alarm setting"),
    "other_scene": Label(zh="其他场景", en="Another scene"),
}
"""The presets (rule 49: the first three are the users' own words)."""


class Closing(BaseModel):
    """The site's own rules of closing; one that says nothing has the product's (rules 33, 34, 39, 46, 49)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    causes: dict[Annotated[Code, Field(max_length=16)], Label] = Field(
        default_factory=dict,
        description="root causes beside the 23, or instead of one: code -> label",
    )
    scene_tags: dict[Code, Label] = Field(
        default_factory=dict,
        description="scene tags beside the presets, or instead of one: code -> label",
    )
    approvers: tuple[str, ...] = Field(
        default=(
            "supervisor",
            "line leader",
            "shift leader",
            "planner",
            "administrator",
            "班组长",
            "主管",
            "管理员",
        ),
        description="roles that may close a ticket without a repair or a signature, or grant it to who asks",
    )
    administrators: tuple[str, ...] = Field(
        default=("administrator", "planner", "管理员"),
        description="roles that may open a closed ticket again at any time",
    )
    reopen_within_min: float = Field(
        default=15.0, ge=0, description="so long after closing anybody may open a ticket again, minutes"
    )
    knowledge_by: str = Field(
        default="administrator", description="role that writes the knowledge entry of a repaired ticket"
    )
    review_by: str = Field(
        default="line_leader", description="role that calls the review meeting after a low rating"
    )
    knowledge_within_h: float = Field(
        default=24.0,
        gt=0,
        description="the knowledge entry of a repaired ticket is due so long after closing, hours",
    )
    review_below_stars: int = Field(
        default=3, ge=1, le=5, description="fewer stars than this call for a review meeting"
    )
    review_within_h: float = Field(
        default=48.0, gt=0, description="the review meeting is due so long after the rating, hours"
    )
    unsigned_after_days: float | None = Field(
        default=None, gt=0, description="close what nobody has signed for so many days; none: never by time"
    )
