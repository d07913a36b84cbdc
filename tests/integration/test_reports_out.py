"""Reports as people get them: PDF files in both languages, by the command, by the console, and by e-mail on a schedule."""

import sys
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from andon import plants
from andon.__main__ import main
from andon.channels import make_channels
from andon.config import Notify
from andon.database import reading, writing
from andon.datadir import open_store
from andon.events import HOUR_NS, ConfigChanged, Origin
from andon.parts.postman import Postman
from andon.rules.reports import ReportSchedule
from api.reporting import setting
from api.reporting.order import Order
from api.reporting.printing import Occupied, Printing
from tests.department import DAY_NS, SITE, Department
from tests.integration.test_notify_mail_mqtt import Postman as Office
from tests.receivers import nobody
from ticketing import distribution, drift
from ticketing.sql import to_json, upsert

END_NS = 1_777_593_600 * 10**9  # 2026-05-01T00:00Z
HOSTILE = '#panic("run") *bold* <b>=SUM(A1)</b> $x$ \\ `raw` @ref'
SCHEDULES = (
    ReportSchedule(
        id="monthly", report="top10", day=2, at="07:30", to=("zhang", "planner"), languages=("zh",)
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory after April, in which people and the plant have names that look like code."""
    folder = tmp_path_factory.mktemp("plant")
    engine = open_store(folder)
    assets = tuple(one.model_copy(update={"model": HOSTILE, "name": HOSTILE}) for one in SITE.assets)
    plant = SITE.model_copy(update={"name": HOSTILE, "assets": assets, "reports": SCHEDULES})
    at_ns = END_NS - 40 * DAY_NS
    with writing(engine) as conn:
        document = plant.model_dump(mode="json")
        plants.save(conn, ConfigChanged(at_ns, 1, document, Origin("engine", 1, at_ns)))
    Department(engine, folder, seed=3, from_ns=at_ns).works(tickets=20, days=30)
    engine.dispose()
    return folder


@pytest.mark.parametrize("language", ["zh", "en"])
def test_each_report_is_set_and_runs_nothing_of_what_people_wrote(data, tmp_path, language, capsys):
    made = [
        ("closing_quality", "--month", "2026-04"),
        ("heat_map", "--month", "2026-04"),
        ("top10", "--month", "rolling"),
        ("dossier", "--ticket", "A-2"),
    ]
    for name, *about in made:
        out = tmp_path / f"{name}.pdf"
        order = ["report", name, *about, "--data", str(data), "--language", language, "--out", str(out)]
        assert main(order) == 0, capsys.readouterr().err
        assert out.read_bytes().startswith(b"%PDF-")
    assert main(["report", "drift", "--data", str(data), "--out", str(tmp_path / "d.pdf")]) == 1
    assert "there is no drift list" in capsys.readouterr().err
    assert main(["report", "heat_map", "--ticket", "A-2", "--data", str(data)]) == 1
    assert "is about a month" in capsys.readouterr().err


def test_a_template_that_ran_what_it_is_given_would_be_found(data, tmp_path, monkeypatch, capsys):
    unsafe = tmp_path / "report.typ"
    safe = setting.TEMPLATE.read_text("utf-8")
    unsafe.write_text(
        safe.replace('weight: "bold", said.title)', 'weight: "bold", eval(said.plant, mode: "markup"))'),
        "utf-8",
    )
    assert unsafe.read_text("utf-8") != safe
    monkeypatch.setattr(setting, "TEMPLATE", unsafe)
    with pytest.raises(Exception, match="run"):
        main(["report", "top10", "--data", str(data), "--out", str(tmp_path / "x.pdf")])


def test_without_a_chinese_font_it_says_which_package_has_one(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setting, "families", lambda: frozenset({"DejaVu Sans"}))
    order = ["report", "top10", "--data", str(data), "--language", "zh", "--out", str(tmp_path / "x.pdf")]
    assert main(order) == 1
    assert "fonts-noto-cjk" in capsys.readouterr().err
    assert main([*order[:4], "--language", "en", "--out", str(tmp_path / "x.pdf")]) == 0


def test_the_console_has_them_made_one_at_a_time_and_keeps_what_came_of_each(data, tmp_path):
    printing = Printing(tmp_path / "reports", (sys.executable, "-m", "andon", "report", "--data", str(data)))
    first = printing.start(Order("top10", "2026-04", "en"), "month", 1)
    with pytest.raises(Occupied):
        printing.start(Order("heat_map", "2026-04", "en"), "month", 2)
    _until_done(printing, first)
    done = printing.get(first)
    assert done is not None
    assert (done.state, done.percent, done.order.about) == ("done", 100, "2026-04")
    assert done.file is not None
    assert done.file.read_bytes().startswith(b"%PDF-")
    wrong = printing.start(Order("drift", "2026-04-03", "en"), "day", 3)
    _until_done(printing, wrong)
    failed = printing.get(wrong)
    assert failed is not None
    assert (failed.state, failed.file) == ("failed", None)
    assert "there is no drift list of 2026-04-03" in failed.error
    assert [one.id for one in printing.recent()] == [wrong, first]
    assert printing.get("../reports") is None


def _until_done(printing: Printing, name: str) -> None:
    for _ in range(1200):
        found = printing.get(name)
        if found is not None and found.state != "running":
            return
        time.sleep(0.1)
    raise AssertionError("it never ended")


def test_a_months_report_goes_to_each_once_and_again_after_the_server_was_away(data):
    engine = open_store(data)
    office, port = Office(), nobody()
    given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "andon@plant.example"}
    people = {"zhang": "zhang@plant.example", "li": "li@plant.example"}
    notify = Notify.model_validate({"name": "mail", "kind": "smtp", "people": people, **given})
    channels = make_channels(data, [notify], lambda _message, _to: ())
    now = [END_NS + 12 * HOUR_NS]
    postman = Postman(engine, data, channels, plants.Current(engine), lambda: now[0])
    assert postman.turn() == 0  # seen for the first time: nothing of the past goes out
    now[0] += DAY_NS  # the second of May, noon
    assert postman.turn() == 0  # nobody listens at the server
    with reading(engine) as conn:
        (waits,) = distribution.lately(conn)
    assert (waits.person, waits.state, waits.attempts) == ("zhang", "pending", 1)
    controller = Controller(office, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        now[0] += HOUR_NS
        assert postman.turn() == 1
        assert postman.turn() == 0
        assert Postman(engine, data, channels, plants.Current(engine), lambda: now[0]).turn() == 0
    finally:
        controller.stop()
    (envelope,) = office.got
    mail = message_from_bytes(envelope.original_content or envelope.content, policy=policy.default)
    (attached,) = mail.iter_attachments()
    assert envelope.rcpt_tos == ["zhang@plant.example"]
    assert attached.get_filename() == "top10-2026-04-zh.pdf"
    assert attached.get_content().startswith(b"%PDF-")
    assert "#panic" in str(mail["Subject"])
    engine.dispose()


def test_a_kept_drift_list_is_a_report(data, tmp_path, capsys):
    item = drift.Drifting(
        ticket=2,
        number="A-2",
        asset=SITE.assets[0].id,
        line="L1",
        priority="high",
        state="assigned",
        person="li",
        backup=None,
        missed_by=("zhang", "li"),
        misses=2,
        update_due_ns=END_NS,
    )
    engine = open_store(data)
    row = {"day": "2026-04-29", "at_ns": END_NS, "number": 1, "items": to_json((item,))}
    with writing(engine) as conn:
        upsert(conn, drift.drift_list, [row])
    out = tmp_path / "drift.pdf"
    order = ["report", "drift", "--day", "2026-04-29", "--data", str(data), "--out", str(out)]
    assert main(order) == 0, capsys.readouterr().err
    assert out.read_bytes().startswith(b"%PDF-")
    engine.dispose()
