"""Fixtures of the scenarios."""

from pathlib import Path

import pytest

from tests.scenario.story import Story
from tests.stores import Stores


@pytest.fixture
def plant(tmp_path: Path, stores: Stores) -> Story:
    """A plant whose story begins, on each database."""
    return Story.begins(tmp_path, stores.open())
