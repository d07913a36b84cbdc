"""Which assets are being maintained, as far as people said so: detectors that begin anew meanwhile have to be told."""

from collections.abc import Sequence
from dataclasses import asdict

from andon.events import Declaration, Declared, Json, Origin


class Maintained:
    """The beginning of the maintenance that stands, by asset."""

    def __init__(self) -> None:
        self._began: dict[str, Declaration] = {}

    def take(self, said: Declaration) -> None:
        """Take what a person declares; only maintenance is remembered."""
        if said.what is Declared.MAINTENANCE_BEGINS:
            self._began[said.asset] = said
        elif said.what is Declared.MAINTENANCE_ENDS:
            self._began.pop(said.asset, None)

    def standing(self) -> tuple[Declaration, ...]:
        """The beginnings that stand."""
        return tuple(self._began.values())

    def snapshot(self) -> Json:
        """What stands, as JSON."""
        return [asdict(said) for said in self._began.values()]

    def restore(self, state: Sequence[Json]) -> None:
        """Go on exactly where `snapshot` was taken."""
        self._began = {
            said["asset"]: Declaration(
                **{**said, "what": Declared(said["what"]), "origin": Origin(**said["origin"])}
            )
            for said in state
        }
