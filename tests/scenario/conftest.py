"""Fixtures of the scenarios."""

from pathlib import Path

import pytest

from tests.scenario.story import Story


@pytest.fixture
def plant(tmp_path: Path) -> Story:
    """A plant whose story begins."""
    return Story.begins(tmp_path)
