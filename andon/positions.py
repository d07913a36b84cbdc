"""Where something is, on the plant's own plan or on the globe, and how far that is from somewhere else."""

from math import asin, cos, hypot, radians, sin, sqrt
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

EARTH_M = 6_371_008.8
"""Mean radius of the earth in metres (IUGG)."""


class Position(BaseModel):
    """A place: metres from the corner of the plant's plan, or degrees of latitude and longitude (WGS 84).

    >>> Position(x_m=0, y_m=0).distance_m(Position(x_m=30, y_m=40))
    50.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    x_m: float | None = Field(default=None, ge=-1e6, le=1e6, description="Metres to the right on the plan.")
    y_m: float | None = Field(default=None, ge=-1e6, le=1e6, description="Metres up on the plan.")
    lat: float | None = Field(default=None, ge=-90, le=90, description="Degrees north.")
    lon: float | None = Field(default=None, ge=-180, le=180, description="Degrees east.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for one, other in ((self.x_m, self.y_m), (self.lat, self.lon)):
            if (one is None) is not (other is None):
                raise ValueError("a position needs both of its numbers: x_m and y_m, or lat and lon")
        if self.x_m is None and self.lat is None:
            raise ValueError("a position is x_m and y_m on the plant's plan, or lat and lon")
        return self

    def distance_m(self, other: "Position") -> float | None:
        """Metres to another position in a straight line; None if the two are given in different ways.

        The haversine formula on a sphere: within 0.6 % of the ellipsoid.
        """
        if self.x_m is not None and self.y_m is not None and other.x_m is not None and other.y_m is not None:
            return hypot(self.x_m - other.x_m, self.y_m - other.y_m)
        if self.lat is None or self.lon is None or other.lat is None or other.lon is None:
            return None
        north, south = radians(self.lat), radians(other.lat)
        half = sin((north - south) / 2) ** 2
        half += cos(north) * cos(south) * sin(radians(self.lon - other.lon) / 2) ** 2
        return 2 * EARTH_M * asin(sqrt(half))
