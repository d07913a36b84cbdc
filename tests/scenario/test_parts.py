"""The store: asked for inside a ticket, reserved, handed out by lot, put back; low stock told once; CSV in and out."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from tests.scenario.story import PLANT, Story
from tests.scenario.test_closing import Floor
from ticketing import deeds, store
from ticketing.errors import DeedRefused, FieldsRefused, StepRefused
from ticketing.parts import catalogue, movements, sheets, suppliers, use
from ticketing.parts.movements import Cause, Delivery
from ticketing.parts.tables import stock, stock_movement, store_change
from ticketing.requisitions import RequisitionState
from ticketing.states import Step

PARTS = """\
编码,名称,中文名称,单位,安全库存,单价,条码,适用型号
Y-90,Rod seal 90,活塞杆密封圈90,pcs,4,12.50,06912345678901,V8000; V9000
BRG-6206,Bearing 6206,轴承6206,pcs,1,88,,
"""
SUPPLIERS = "supplier,name,name_zh,grade\nHX,Huaxing Rubber,华兴橡胶,C\nNOK,NOK,,A\n"
STOCK = "part,lot,quantity,supplier,brand,received\nY-90,L-1,3,NOK,NOK,2026-01-05\nY-90,L-2,4,HX,Huaxing,2026-02-20\n"


class Store(Floor):
    """A floor with parts in its store."""

    def __init__(self, story: Story) -> None:
        super().__init__(story)
        for body in (PARTS, SUPPLIERS, STOCK):
            self.reads(body)

    def book(self):
        self.now_ns += 60_000_000_000
        return self.story.tickets.transaction(self.now_ns)

    def reads(self, body: str) -> sheets.Taken:
        with self.book() as book:
            return sheets.take_in(book, body.encode(), by="wang")

    def part(self, code: str = "Y-90") -> catalogue.Part:
        with reading(self.story.engine) as conn:
            return catalogue.part_coded(conn, code)

    def lots(self) -> dict[str, float]:
        with reading(self.story.engine) as conn:
            return {one.lot: one.on_hand for one in movements.lots(conn, "Y-90")}

    def asks(self, part: str = "Y-90", quantity: float = 2, reason: str = "seal torn"):
        return deeds.request_part(self.doer("zhang"), 1, part=part, quantity=quantity, reason=reason)

    def used(self) -> list[tuple[str, float, int | None]]:
        with reading(self.story.engine) as conn:
            return [(one.lot, one.quantity, one.cents) for one in use.of_ticket(conn, 1)]

    def adds_up(self) -> bool:
        """Whether the stock is the sum of what moved."""
        c, spoken = stock_movement.c, ("reserve", "release")
        with reading(self.story.engine) as conn:
            for name, which in (("reserved", c.kind.in_(spoken)), ("on_hand", c.kind.not_in(spoken))):
                moved = select(c.part, c.lot, func.sum(c.quantity)).where(which).group_by(c.part, c.lot)
                kept = select(stock.c.part, stock.c.lot, stock.c[name]).where(stock.c[name] != 0)
                sums = {(part, lot, round(total, 3)) for part, lot, total in conn.execute(moved)}
                sums = {one for one in sums if one[2]}
                if sums != {tuple(row) for row in conn.execute(kept)}:
                    return False
        return True


def shop_of(story: Story) -> Store:
    floor = Store(story)
    floor.worked_on()
    return floor


@pytest.fixture
def shop(tmp_path: Path) -> Store:
    """The rules of the store, on the quicker database."""
    return shop_of(Story.begins(tmp_path))


@pytest.fixture
def shops(plant: Story) -> Store:
    """What the databases might answer differently."""
    return shop_of(plant)


def test_a_part_is_reserved_handed_out_oldest_lot_first_and_stands_on_the_machine(shops):
    asked = shops.asks("ｙ-９０", 5)
    assert (asked.part_code, shops.part().on_hand, shops.part().reserved, shops.part().free) == (
        "Y-90",
        7,
        5,
        2,
    )
    issued = deeds.issue_part(shops.doer("wang"), asked.id)
    assert (issued.state, issued.lot, issued.issued) == (RequisitionState.ISSUED, "L-1, L-2", 5)
    assert (shops.lots(), shops.part().reserved) == ({"L-1": 0, "L-2": 2}, 0)
    assert shops.used() == [("L-1", 3, 3750), ("L-2", 2, 2500)]
    back = deeds.return_part(shops.doer("wang"), asked.id, quantity=1, lot="L-2")
    assert (back.returned, shops.lots()["L-2"], shops.used()[1]) == (1, 3, ("L-2", 1, 1250))
    with reading(shops.story.engine) as conn:
        history = store.asset_history(conn, "M7")
    assert [(one.part, one.lot, one.grade, one.quantity) for one in history.parts] == [
        ("Y-90", "L-1", "A", 3),
        ("Y-90", "L-2", "C", 1),
    ]
    assert [a for a in shops.actions() if "part" in a or "req" in a] == [
        *("requisition", "parts_issued", "parts_returned"),
    ]
    assert shops.adds_up()
    with pytest.raises(IntegrityError), writing(shops.story.engine) as conn:
        conn.execute(stock_movement.update().values(quantity=1000))


def test_what_came_back_whole_stays_in_no_machine_and_no_more_can_come_back(shop):
    asked = shop.asks(quantity=2)
    deeds.issue_part(shop.doer("wang"), asked.id, lot="L-2")
    with pytest.raises(StepRefused, match="quantity"):
        deeds.return_part(shop.doer("wang"), asked.id, quantity=3)
    deeds.return_part(shop.doer("wang"), asked.id, quantity=2)
    assert (shop.used(), shop.lots()) == ([], {"L-1": 3, "L-2": 4})
    with pytest.raises(StepRefused, match="lot"):
        deeds.return_part(shop.doer("wang"), asked.id, quantity=1)


def test_more_than_there_is_is_not_handed_out_and_fewer_can_be(shop):
    asked = shop.asks(quantity=9)
    assert shop.part().free == -2
    with pytest.raises(DeedRefused, match="3 of lot L-1, 4 of lot L-2") as short:
        deeds.issue_part(shop.doer("wang"), asked.id)
    assert short.value.code == "stock_short"
    with pytest.raises(DeedRefused, match="lot L-1"):
        deeds.issue_part(shop.doer("wang"), asked.id, lot="L-1", quantity=4)
    assert shop.part().reserved == 9
    with shop.book() as book:  # thousandths add up
        movements.count(book, "Y-90", 0.7, Cause("wang"), lot="L-1")
        movements.count(book, "Y-90", 0.1, Cause("wang"), lot="L-2")
    assert deeds.issue_part(shop.doer("wang"), asked.id, quantity=0.8).issued == 0.8
    assert (shop.part().on_hand, shop.part().reserved, shop.adds_up()) == (0, 0, True)


def test_a_text_that_the_store_does_not_know_is_bound_when_it_is_handed_out(shop):
    asked = shop.asks("the black ring on the rod")
    assert (asked.part_code, shop.part().reserved) == (None, 0)
    issued = deeds.issue_part(shop.doer("wang"), asked.id, part="Y-90", lot="L-2")
    assert (issued.part_code, issued.part, shop.used()) == (
        *("Y-90", "the black ring on the rod"),
        [("L-2", 2, 2500)],
    )
    unknown = shop.asks("gasket")
    assert deeds.issue_part(shop.doer("wang"), unknown.id, lot="box 3").lot == "box 3"
    with pytest.raises(DeedRefused, match="took nothing from the store"):
        deeds.return_part(shop.doer("wang"), unknown.id, quantity=1)


def test_what_is_withdrawn_or_given_up_is_free_again(shop):
    first, second = shop.asks(quantity=2), shop.asks(quantity=3)
    deeds.withdraw_part(shop.doer("zhang"), first.id, reason="the old one is good")
    assert shop.part().reserved == 3
    waits = deeds.ask_approval(shop.doer("zhang"), 1, step=Step.FALSE_ALARM, reason="a test run set it off")
    deeds.grant(shop.doer("chen"), waits.id, PLANT)
    assert (shop.part().reserved, shop.adds_up()) == (0, True)
    states = [one.state for one in shop.story.detail(1).requisitions]
    assert states == [RequisitionState.WITHDRAWN] * 2
    with pytest.raises(DeedRefused, match="not open"):
        deeds.issue_part(shop.doer("wang"), second.id)


def test_below_the_safety_stock_is_told_once_until_it_was_above(shop):
    def told() -> list[tuple[object, object]]:
        return [(one["part"], one["on_hand"]) for one in shop.told("part.low")]

    deeds.issue_part(shop.doer("wang"), shop.asks(quantity=3).id)
    assert (told(), shop.part().is_low) == ([], False)  # four are left, and four are safe
    deeds.issue_part(shop.doer("wang"), shop.asks(quantity=1).id)
    deeds.issue_part(shop.doer("wang"), shop.asks(quantity=1).id)
    assert (told(), shop.part().is_low) == ([("Y-90", 3.0)], True)
    with shop.book() as book:
        movements.receive(book, "Y-90", 8, Cause("wang"), Delivery("L-3", "NOK"))
    assert not shop.part().is_low
    with shop.book() as book:  # counted: fewer than was thought; told with the ticket that took some last
        movements.count(book, "Y-90", 1, Cause("wang", "stocktaking"), lot="L-3")
    assert told() == [("Y-90", 3.0), ("Y-90", 3.0)]
    with shop.book() as book:  # and so is a limit that is raised
        catalogue.save(book, "BRG-6206", {"min_stock": 0.0}, by="wang")
        catalogue.save(book, "Y-90", {"min_stock": 2.0}, by="wang")
    assert shop.part().low_ns is None
    with shop.book() as book:
        catalogue.save(book, "Y-90", {"min_stock": 9.0}, by="wang")
    assert len(told()) == 3
    shop.reads("part,lot,quantity\nY-90,L-2,90\nY-90,L-2,0\nY-90,L-2,90\nY-90,L-2,0\n")
    assert len(told()) == 5  # each time anew, and no two messages are one


def test_a_part_is_found_by_code_by_name_by_words_by_model_and_by_scan(shops):
    with reading(shops.story.engine) as conn:
        for said in ("y-90", "rod seal 90", "活塞杆密封圈90", "06912345678901", "(01)06912345678901(10)L-2"):
            assert getattr(catalogue.matching(conn, said), "code", None) == "Y-90", said
        assert catalogue.matching(conn, "seal") is None
        for said in ("seal 90", "密封", "6912345"):
            assert [one.code for one in catalogue.parts(conn, said)] == ["Y-90"], said
        assert [one.code for one in catalogue.parts(conn, "%")] == []
        assert [one.code for one in catalogue.suggested(conn, "", "V9000")] == ["Y-90", "BRG-6206"]
        assert [one.code for one in catalogue.parts(conn, low=True)] == ["BRG-6206"]
        assert catalogue.how_many_low(conn) == 1


def test_what_is_written_can_be_read_again_and_changes_nothing(shops):
    with shops.book() as book:
        catalogue.save(book, "=1+1", {"name": "-2+3", "place": "@shelf", "cents": 5}, by="wang")
    with reading(shops.story.engine) as conn:
        before = conn.execute(select(func.count()).select_from(store_change)).scalar()
        moved = conn.execute(select(func.count()).select_from(stock_movement)).scalar()
        files = {kind: sheets.written(conn, kind) for kind in sheets.Kind}
    assert "\r\n'=1+1,'-2+3,,pcs,0,0.05,,'@shelf," in files[sheets.Kind.PARTS]
    assert {kind: shops.reads(text).rows for kind, text in files.items()} == {
        sheets.Kind.PARTS: 3,
        sheets.Kind.SUPPLIERS: 2,
        sheets.Kind.STOCK: 2,
    }
    with reading(shops.story.engine) as conn:
        assert conn.execute(select(func.count()).select_from(store_change)).scalar() == before
        assert conn.execute(select(func.count()).select_from(stock_movement)).scalar() == moved
        assert {kind: sheets.written(conn, kind) for kind in sheets.Kind} == files


def test_a_file_with_a_wrong_line_is_refused_whole_with_the_lines(shop):
    wrong = (
        "code,name,price,min_stock\nA-1,Axle,1.005,1\nA-2,,1,1\nA-3,Pin,1,many\nA-4,Pin,1,-1\nA-5,Good,1,1\n"
    )
    with pytest.raises(DeedRefused) as refused:
        shop.reads(wrong)
    assert str(refused.value) == (
        "line 2: price: '1.005' is no amount with at most two decimals; line 3: name absent; "
        "line 4: min_stock: 'many' is no number; line 5: min_stock out_of_range"
    )
    with pytest.raises(DeedRefused, match="there is no part 'A-5'"):
        shop.part("A-5")
    with pytest.raises(DeedRefused, match="line 2: supplier unknown; line 3: there is no part 'X'"):
        shop.reads("part,lot,quantity,supplier\nY-90,L-9,1,nobody\nX,,1,\n")
    with pytest.raises(DeedRefused, match="none of these sets of columns"):
        shop.reads("a,b\n1,2\n")


def test_a_lot_keeps_its_delivery_and_a_blocked_supplier_delivers_nothing(shop):
    with shop.book() as book:
        suppliers.save(book, "HX", {"status": "blocked"}, by="wang")
    cause = Cause("wang")
    for came, why in (
        (Delivery("L-1", "HX"), "supplier (blocked), lot (of_another_delivery)"),
        (Delivery("L-1", brand="other"), "lot (of_another_delivery)"),
    ):
        with pytest.raises(FieldsRefused) as refused, shop.book() as book:
            movements.receive(book, "Y-90", 1, cause, came)
        assert why in str(refused.value)
    for quantity in (-1, float("nan"), 1e10):
        with pytest.raises(FieldsRefused), shop.book() as book:
            movements.receive(book, "Y-90", quantity, cause, Delivery("L-1"))
    with reading(shop.story.engine) as conn:
        changes = select(store_change.c.changes).where(store_change.c.code == "HX")
        assert list(conn.execute(changes).scalars())[-1] == '{"status":["active","blocked"]}'
