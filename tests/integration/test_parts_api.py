"""The store over REST and on its pages: files in and out, a part found inside a ticket, handed out, put back."""

from typing import Any

import httpx
import pytest

from tests.shop_floor import OURS, ShopFloor
from ticketing.parts import sheets

CSV = {"Content-Type": "text/csv"}
PARTS = "code,name,name_zh,min_stock,price,barcode,models\nSEAL/90,Seal 90,密封圈,2,12.5,6912345678,\n=cmd,<b>Evil</b>,,0,,,\n"
STOCK = "part,lot,quantity\nSEAL/90,L-1,2\nSEAL/90,L-2,3\n"


class Shop:
    """A store with two parts, and a ticket that may want them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/api/v1/{path}", json=body)

    async def sends(self, text: str) -> httpx.Response:
        return await self.client.post("/api/v1/stock/sheets", content=text.encode("gb18030"), headers=CSV)

    async def part(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/api/v1/parts/SEAL/90")).json()
        return found


@pytest.fixture
async def shop(floor: ShopFloor, client: httpx.AsyncClient) -> Shop:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    shop = Shop(client)
    assert [(await shop.sends(text)).json()["rows"] for text in (PARTS, STOCK)] == [2, 2]
    return shop


async def test_a_part_is_found_asked_for_handed_out_and_put_back(shop: Shop) -> None:
    found = (await shop.client.get("/api/v1/parts?scan=6912345678")).json()["items"]
    assert [(one["code"], one["on_hand"], one["is_low"]) for one in found] == [("SEAL/90", 5, False)]
    asked = await shop.post("tickets/1/requisitions", part="密封圈", quantity=4, reason="torn")
    assert (asked.status_code, asked.json()["part_code"]) == (201, "SEAL/90")
    short = await shop.post("requisitions/1/issue", lot="L-1")
    assert (short.status_code, short.json()["code"]) == (409, "stock_short")
    issued = (await shop.post("requisitions/1/issue")).json()
    assert (issued["lot"], issued["issued"]) == ("L-1, L-2", 4)
    back = await shop.post("requisitions/1/return", quantity=1, lot="L-2")
    assert back.json()["returned"] == 1
    held = await shop.part()
    assert ([(lot["lot"], lot["on_hand"]) for lot in held["lots"]], held["is_low"]) == (
        [("L-1", 0), ("L-2", 2)],
        False,
    )
    moved = (await shop.client.get("/api/v1/stock/movements?part=SEAL/90&limit=3")).json()
    assert [(one["kind"], one["quantity"], one["ticket"]) for one in moved["items"]] == [
        *(("return", 1, 1), ("issue", -2, 1), ("issue", -2, 1)),
    ]
    older = await shop.client.get(f"/api/v1/stock/movements?part=SEAL/90&after={moved['next']}")
    assert [one["kind"] for one in older.json()["items"]] == ["release", "reserve", "receive", "receive"]
    history = (await shop.client.get("/api/v1/assets/L2-CMP-01")).json()["history"]
    assert [(one["part"], one["lot"], one["quantity"], one["cents"]) for one in history["parts"]] == [
        *(("SEAL/90", "L-1", 2, 2500), ("SEAL/90", "L-2", 1, 1250)),
    ]
    assert [one["number"] for one in history["tickets"]] == ["A-1"]


async def test_cards_deliveries_and_counts_are_checked(shop: Shop) -> None:
    for path, body, wrong in (
        ("parts", {"code": "A", "barcode": "6912345678"}, ["name absent", "barcode taken"]),
        ("suppliers", {"code": "HX"}, ["name absent"]),
        ("stock/receive", {"part": "SEAL/90", "quantity": 1, "supplier": "HX"}, ["supplier unknown"]),
        ("stock/count", {"part": "SEAL/90", "quantity": 1, "lot": "L-9"}, ["lot unknown"]),
    ):
        answer = await shop.post(path, **body)
        said = [f"{one['field']} {one['why']}" for one in answer.json()["missing"]]
        assert answer.status_code == 422
        assert all(one.startswith(start) for one, start in zip(said, wrong, strict=True)), said
    assert (await shop.post("stock/receive", part="nothing", quantity=1)).status_code == 404
    assert (await shop.post("suppliers", code="HX", name="Huaxing", grade="C")).json()["grade"] == "C"
    assert (await shop.post("parts", code="SEAL/90", min_stock=9)).json()["is_low"] is True
    came = {"part": "SEAL/90", "quantity": 6, "lot": "L-3", "supplier": "HX"}
    assert (await shop.post("stock/receive", **came)).json()["on_hand"] == 11
    low = await shop.client.get("/api/v1/parts?low=true")
    assert low.json()["items"] == []
    refused = await shop.sends("code,name\nX,\n")
    assert (refused.json()["code"], refused.json()["detail"]) == ("sheet_refused", "line 2: name absent")


async def test_what_is_kept_as_a_file_runs_no_formula_and_no_page_runs_a_name(shop: Shop) -> None:
    kept = await shop.client.get("/api/v1/stock/sheets/parts")
    assert kept.headers["content-disposition"] == 'attachment; filename="parts.csv"'
    assert "\r\n'=cmd,<b>Evil</b>," in kept.text
    assert (await shop.sends(kept.text)).json() == {"kind": "parts", "rows": 2}
    await shop.post("stock/receive", part="=cmd", quantity=1, lot="<i>L</i>")
    for path in ("/parts", "/parts/%3Dcmd", "/tickets/1/parts?part=evil"):
        page = (await shop.client.get(path, headers={"Accept": "text/html"})).text
        assert "Evil" in page
        assert "<b>" not in page
        assert "<i>L" not in page


async def test_the_storekeeper_works_on_the_page(browser: httpx.AsyncClient, floor: ShopFloor) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    with floor.context.tickets.transaction(floor.clock()) as book:
        for text in (PARTS, STOCK):
            sheets.take_in(book, text.encode(), by="wu.gang")

    async def fills(path: str, **form: str) -> httpx.Response:
        return await browser.post(path, data=form, headers=OURS)

    await fills("/tickets/1/requisitions", part="6912345678", quantity="1.5", reason="torn")
    scan = await browser.get("/parts?text=6912345678")
    assert (scan.status_code, scan.headers["location"]) == (303, "/parts/SEAL%2F90")
    answer = await fills("/requisitions/1/issue", quantity="9", back="/parts")
    assert (answer.status_code, answer.headers["location"]) == (303, "/parts")
    assert "/requisitions/1/issue" in (await browser.get("/parts")).text
    await fills("/requisitions/1/issue", quantity="1.5", lot="L-2", back="/parts")
    page = (await browser.get("/parts")).text
    assert "/requisitions/1/issue" not in page
    assert ">3.5</span>" in page
    wrong = await fills("/parts/count", code="SEAL/90", lot="L-1", quantity="-1")
    assert (wrong.status_code, 'value="-1"' in wrong.text) == (422, True)
    await fills("/parts/count", code="SEAL/90", lot="L-1", quantity="0")
    assert "Below the safety stock" in (await browser.get("/parts/SEAL%2F90")).text
    bad = await browser.post("/parts/sheet", files={"sheet": ("x.csv", b"code,name\nX,\n")}, headers=OURS)
    assert "line 2: name absent" in bad.text
    machine = (await browser.get("/assets/L2-CMP-01")).text
    assert "Replaced parts" in machine
    assert "Seal 90" in machine
