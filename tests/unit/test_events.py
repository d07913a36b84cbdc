"""Times at the edges: nanoseconds inside, RFC 3339 outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.events import nanoseconds, rfc3339


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_time_survives_the_edge_to_the_millisecond(milliseconds: int) -> None:
    at_ns = milliseconds * 1_000_000
    assert nanoseconds(rfc3339(at_ns)) == at_ns


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2026-03-29T02:30:00.000000001+02:00", 1_774_744_200_000_000_001),
    ],
)
def test_known_times(text: str, at_ns: int) -> None:
    assert nanoseconds(text) == at_ns


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_a_time_without_offset_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        nanoseconds(text)
