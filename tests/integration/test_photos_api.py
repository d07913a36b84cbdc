"""Photos over HTTP: how they are served, how many are taken, and that a hard one keeps nobody else waiting."""

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from andon.database import writing
from tests.hostile_photos import image, scans
from tests.shop_floor import ShopFloor
from ticketing import photos
from ticketing.photo_quota import PER_DAY, PER_TICKET
from ticketing.tables import photo as kept_photos

PHOTOS = "/api/v1/tickets/1/photos"


def numbered(number: int) -> bytes:
    """A photo that is no other: another size."""
    return image("JPEG", (16 + number, 16))


async def test_a_photo_is_served_as_a_file_that_can_do_nothing(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    kept = (await client.post(PHOTOS, files={"photo": ("x.png", image("PNG"))})).json()
    shown = (await client.get(f"/tickets/1/photos/{kept['sha256']}")).headers
    number = (await client.get("/api/v1/tickets/1")).json()["ticket"]["number"]
    assert shown["content-type"] == "image/jpeg"
    assert shown["content-disposition"] == f'attachment; filename="{number}-{kept["sha256"][:8]}.jpg"'
    assert shown["x-content-type-options"] == "nosniff"
    assert shown["content-security-policy"] == "sandbox; default-src 'none'"
    assert shown["cache-control"] == "private, max-age=86400, immutable"


@pytest.mark.parametrize("name", ["../../andon.toml", "/etc/passwd", "a\0b.jpg", "x" * 4000, "照片.html", ""])
async def test_the_senders_name_of_a_file_is_nowhere(
    name: str, floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    answer = await client.post(PHOTOS, files={"photo": (name, image("JPEG"), "text/html")})
    assert answer.status_code in {201, 400, 422}, answer.text
    folder = floor.context.photos
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    assert names == ([answer.json()["sha256"]] if answer.status_code == 201 else [])


async def test_a_ticket_has_so_many_photos_and_a_person_adds_so_many_a_day(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"), floor.finding("L2-CMP-01", "zone_d"))
    for number in range(PER_TICKET):
        assert (await client.post(PHOTOS, files={"photo": ("x", numbered(number))})).status_code == 201
    more = await client.post(PHOTOS, files={"photo": ("x", numbered(99))})
    assert (more.status_code, more.json()["code"]) == (409, "photo_too_many")
    other = await client.post("/api/v1/tickets/2/photos", files={"photo": ("x", numbered(99))})
    assert other.status_code == 201
    with writing(floor.database) as conn:
        rows = [
            {
                "ticket": 2,
                "sha256": f"{number:064x}",
                "cycle": 0,
                "mime": photos.MIME,
                "size": 1,
                "width": 1,
                "height": 1,
                "stage": "signature",
                "by": other.json()["by"],
                "at_ns": floor.clock(),
            }
            for number in range(PER_DAY - PER_TICKET - 1)
        ]
        conn.execute(kept_photos.insert(), rows)
    more = await client.post("/api/v1/tickets/2/photos", files={"photo": ("x", numbered(98))})
    assert (more.status_code, more.json()["code"]) == (429, "photo_quota")
    with writing(floor.database) as conn:  # yesterday's do not count
        conn.execute(update(kept_photos).values(at_ns=floor.clock() - 25 * 3600 * 10**9))
    more = await client.post("/api/v1/tickets/2/photos", files={"photo": ("x", numbered(98))})
    assert more.status_code == 201


async def test_while_photos_are_decoded_others_are_answered(
    floor: ShopFloor, client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    go, decoder = tmp_path / "go", tmp_path / "decoder.py"
    decoder.write_text(
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        'print(\'{"refused": "photo_too_costly", "why": ""}\')\n'
    )
    monkeypatch.setattr(photos, "_PROCESS", decoder)
    everybody = {
        asyncio.create_task(client.post(PHOTOS, files={"photo": ("x", scans(2))}))
        for _ in range(photos.AT_ONCE + photos.WAITING + 1)
    }
    done, waiting = await asyncio.wait(everybody, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().json()["code"] for task in done] == ["photo_busy"]
    assert (await client.get("/api/v1/tickets")).status_code == 200
    assert not any(task.done() for task in waiting)
    go.touch()
    assert {(await task).json()["code"] for task in waiting} == {"photo_too_costly"}
