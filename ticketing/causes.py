"""The 23 root-cause classes: one of them is named when a ticket is resolved (rule 39).

Source: ISO 14224:2016 table B.3, its "other" and "unknown" taken together (20 classes), and the three that a
plant with sensors and automatic alarms needs (ticketing rule 4.8). Codes are stable; a retired code stays
readable and cannot be chosen any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from andon.plant import Plant


@dataclass(frozen=True, slots=True)
class Cause:
    """One class with its labels. `tunes` marks those that say a detector should be tuned, not a machine mended."""

    code: str
    zh: str
    en: str
    tunes: bool = False
    retired: bool = False


_ALL = (
    Cause("1.0", "设计:一般", "Design: general"),
    Cause("1.1", "设计:能力不足", "Design: improper capacity"),
    Cause("1.2", "设计:选材不当", "Design: improper material"),
    Cause("2.0", "制造/安装:一般", "Fabrication or installation: general"),
    Cause("2.1", "制造缺陷", "Fabrication error"),
    Cause("2.2", "安装缺陷", "Installation error"),
    Cause("3.0", "操作/维护:一般", "Operation or maintenance: general"),
    Cause("3.1", "超设计条件运行", "Off-design service"),
    Cause("3.2", "操作失误", "Operating error"),
    Cause("3.3", "维护失误", "Maintenance error"),
    Cause("3.4", "正常磨损老化", "Expected wear and tear"),
    Cause("4.0", "管理:一般", "Management: general"),
    Cause("4.1", "文件错误", "Documentation error"),
    Cause("4.2", "管理失误", "Management error"),
    Cause("5.0", "其他类:一般", "Miscellaneous: general"),
    Cause("5.1", "未找到原因", "No cause found"),
    Cause("5.2", "共因", "Common cause"),
    Cause("5.3", "多重原因", "Combined causes"),
    Cause("5.4", "其他单元引发/连锁故障", "Other unit or cascading failure"),
    Cause("5.5", "其他或不明", "Other or unknown"),
    Cause("6.1", "传感器/接线接触不良", "Sensor or wiring contact fault"),
    Cause("6.2", "传感器误报", "False alarm of a sensor", tunes=True),
    Cause("6.3", "报警/检测设置不当", "Wrong alarm or detector setting", tunes=True),
)

CAUSES: Mapping[str, Cause] = {cause.code: cause for cause in _ALL}
TUNING = frozenset(cause.code for cause in _ALL if cause.tunes)


def causes_of(plant: Plant) -> Mapping[str, Cause]:
    """The causes of a site: the 23, each as the plant document renames or retires it, then its own."""
    own = {
        code: replace(CAUSES.get(code, Cause(code, "", "")), zh=said.zh, en=said.en, retired=said.retired)
        for code, said in plant.closing.causes.items()
    }
    return {**CAUSES, **own}


def refuses(code: str | None, causes: Mapping[str, Cause] = CAUSES) -> str | None:
    """Why that code cannot be chosen: "absent", "unknown" or "retired"; None if it can.

    >>> refuses("3.4"), refuses(""), refuses("9.9")
    (None, 'absent', 'unknown')
    """
    if not code:
        return "absent"
    if code not in causes:
        return "unknown"
    return "retired" if causes[code].retired else None
