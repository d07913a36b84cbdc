"""The plant's floor plan as a picture (rule 71): all machines where they stand, the one that it is about marked, and who goes there.

Drawn from the positions in the plant document, with no map from outside: it works where there is no internet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from andon.plant import Plant
from andon.positions import Position

WIDTH, HEIGHT, MARGIN = 800, 500, 60
_PAPER, _INK, _SOFT, _MARK, _PERSON = "#ffffff", "#22303c", "#9aa7b2", "#d33a2c", "#1f6fd1"
_DOT, _RING = 6, 15
_NAMES_MAX = 60
"""Machines whose ids are written beside them; among more, only the marked one's is."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of the plan in its own units: metres, or degrees with the longitude shortened to the latitude's scale."""

    x: float
    y: float


def drawn(plant: Plant, asset_id: str, person_id: str | None = None) -> bytes | None:
    """The plan as a JPEG with that machine marked, and a line to it from where the person is; None if it has no position."""
    marked = plant.asset(asset_id)
    if marked is None or marked.position is None:
        return None
    by_metres = marked.position.x_m is not None
    spots = {
        one.id: spot for one in plant.assets if (spot := _spot(one.position, by_metres=by_metres)) is not None
    }
    person = next((one for one in plant.people if one.id == person_id), None)
    going = _spot(person.position, by_metres=by_metres) if person else None
    place = _scaled([*spots.values(), *([going] if going else [])])
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    pen.rectangle((12, 12, WIDTH - 12, HEIGHT - 12), outline=_SOFT, width=2)
    at = place(spots[asset_id])
    if going is not None:
        pen.line((*place(going), *at), fill=_PERSON, width=3)
        _dot(pen, place(going), _DOT + 3, _PERSON)
    for name, spot in spots.items():
        here = place(spot)
        _dot(pen, here, _DOT, _INK if name == asset_id else _SOFT)
        if name != asset_id and len(spots) <= _NAMES_MAX:
            pen.text((here[0], here[1] + 9), name, _SOFT, ImageFont.load_default(11), anchor="ma")
    pen.ellipse((at[0] - _RING, at[1] - _RING, at[0] + _RING, at[1] + _RING), outline=_MARK, width=5)
    pen.text(
        (at[0], at[1] - _RING - 6), asset_id, _MARK, font, anchor="md", stroke_width=3, stroke_fill=_PAPER
    )
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _spot(position: Position | None, *, by_metres: bool) -> Spot | None:
    if position is None:
        return None
    if by_metres:
        return None if position.x_m is None or position.y_m is None else Spot(position.x_m, position.y_m)
    if position.lat is None or position.lon is None:
        return None
    return Spot(position.lon * 0.7, position.lat)  # cos 45°: near enough for a sketch of a site


def _scaled(spots: Sequence[Spot]) -> Callable[[Spot], tuple[float, float]]:
    """Where a spot is on the picture: all of them fit in, with one scale for both directions, up is up."""
    left, right = min(one.x for one in spots), max(one.x for one in spots)
    low, high = min(one.y for one in spots), max(one.y for one in spots)
    scale = min((WIDTH - 2 * MARGIN) / max(right - left, 1e-9), (HEIGHT - 2 * MARGIN) / max(high - low, 1e-9))
    middle = (left + right) / 2, (low + high) / 2

    def place(spot: Spot) -> tuple[float, float]:
        if right == left and high == low:
            return WIDTH / 2, HEIGHT / 2
        return WIDTH / 2 + (spot.x - middle[0]) * scale, HEIGHT / 2 - (spot.y - middle[1]) * scale

    return place


def _dot(pen: ImageDraw.ImageDraw, at: tuple[float, float], radius: int, colour: str) -> None:
    pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=colour)
