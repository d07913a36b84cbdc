"""Rule by rule, what the product has to do: `docs/rules.toml` read, checked, and written out as `docs/rules.md`."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "docs" / "rules.toml"
TABLE = ROOT / "docs" / "rules.md"

PARTS: dict[str, Sequence[str]] = {
    "Intake 入口": [*map(str, range(1, 7)), "6a", *map(str, range(7, 13)), "12a", "13", "14"],
    "Deduplication 去重": ["15", "16"],
    "Dispatch and responsibility 派单": [*map(str, range(17, 28))],
    "Time limits and escalation SLA/升级": [*map(str, range(28, 36))],
    "States and evidence 状态与佐证": [*map(str, range(36, 46))],
    "Closing and knowledge 闭环/知识": [*map(str, range(46, 53))],
    "Root causes and improvement 根因/改善": [*map(str, range(53, 60))],
    "Views 视图": [*map(str, range(60, 67))],
    "Portal 客户自助门户": [*map(str, range(67, 70))],
    "Notifications 通知": [*map(str, range(70, 73))],
    "Reports 报告": [*map(str, range(73, 79))],
    "Integration, bus, resilience 集成": [*map(str, range(79, 86))],
    "Tiers of deployment 部署": [*map(str, range(86, 92))],
    "Metrics 指标": [f"K{n}" for n in range(1, 11)],
    "Decided where the documents are silent or disagree": [f"D{n}" for n in range(1, 18)],
}
"""Every number there has to be a rule for, in the order of the page."""

HEAD = """# What the product has to do, rule by rule

Written by `make rules` from `rules.toml`; a test holds both together. A rule is done when it works and the tests named
fail without it. {done} of {all} are done.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the files that hold it, the tests (`file::test`) that would fail without it."""

    number: str
    rule: str
    where: tuple[str, ...]
    tests: tuple[str, ...]
    status: str


def read(source: Path = SOURCE) -> list[Rule]:
    """The rules as they stand in the file."""
    rows = tomllib.loads(source.read_text("utf-8"))["rule"]
    return [Rule(**{**row, "where": tuple(row["where"]), "tests": tuple(row["tests"])}) for row in rows]


def faults(rules: Sequence[Rule]) -> Iterator[str]:
    """What is wrong with them, in words; nothing if all is well."""
    numbers = [rule.number for rule in rules]
    wanted = [number for part in PARTS.values() for number in part]
    yield from (f"rule {n} is missing" for n in wanted if n not in numbers)
    yield from (f"rule {n} is no rule's number" for n in sorted(set(numbers) - set(wanted)))
    yield from (f"rule {n} is there twice" for n in sorted(set(numbers)) if numbers.count(n) > 1)
    for rule in rules:
        yield from (f"rule {rule.number}: {fault}" for fault in _faults_of(rule))


def _faults_of(rule: Rule) -> Iterator[str]:
    if rule.status not in {"open", "done"}:
        yield f"status {rule.status!r} is neither open nor done"
    if rule.status == "open" and rule.tests:
        yield "is open and names tests: set it to done, or take them out"
    if rule.status == "done" and not (rule.tests and rule.where):
        yield "is done without a file or without a test"
    yield from (f"there is no file {name}" for name in rule.where if not (ROOT / name).is_file())
    yield from (f"there is no test {name}" for name in rule.tests if not exists(name))


def exists(test: str) -> bool:
    """Whether pytest would collect that: `file::test`, `file::Class::test`, `[...]` only where it is parametrised."""
    file, _, name = test.partition("::")
    name, _, chosen = name.partition("[")
    found = _tests(ROOT / file)
    return name in found and (not chosen or found[name])


@cache
def _tests(path: Path) -> dict[str, bool]:
    """The tests of a file, each with whether it has parameters; a `TestX = ...` is a class made elsewhere."""
    if not path.is_file():
        return {}
    body = ast.parse(path.read_text("utf-8")).body
    found = dict(_functions(body))
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {f"{node.name}::{name}": has for name, has in _functions(node.body)}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found |= {node.targets[0].id: False} if node.targets[0].id.startswith("Test") else {}
    return found


def _functions(body: Sequence[ast.stmt]) -> Iterator[tuple[str, bool]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            by_mark = any("parametrize" in ast.unparse(one) for one in node.decorator_list)
            yield node.name, by_mark or "stores" in arguments or "plant" in arguments


def page(rules: Sequence[Rule]) -> str:
    """The text of `docs/rules.md`."""
    by_number = {rule.number: rule for rule in rules}
    lines = [HEAD.format(done=sum(rule.status == "done" for rule in rules), all=len(rules))]
    for part, numbers in PARTS.items():
        lines += [f"## {part}\n", "| | rule | where | tests | |", "|---|---|---|---|---|"]
        lines += [_row(by_number[number]) for number in numbers if number in by_number]
        lines.append("")
    return "\n".join(lines)


def _row(rule: Rule) -> str:
    where = "<br>".join(f"[{name}](../{name})" for name in rule.where)
    tests = "<br>".join(f"`{_short(name)}`" for name in rule.tests)
    said = re.sub(r"([|<>])", lambda found: {"|": "\\|", "<": "&lt;", ">": "&gt;"}[found[1]], rule.rule)
    return f"| {rule.number} | {said} | {where} | {tests} | {rule.status} |"


def _short(test: str) -> str:
    """`test_x.py::test_that` of `tests/unit/test_x.py::TestWhat::test_that`."""
    file, *_, name = test.split("::")
    return f"{Path(file).name}::{name}"


def main() -> int:
    """Write the page; say what is wrong with the rules and write nothing if something is."""
    rules = read()
    wrong = list(faults(rules))
    if wrong:
        print("docs/rules.toml:", *wrong, sep="\n  ", file=sys.stderr)
        return 1
    TABLE.write_text(page(rules), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
