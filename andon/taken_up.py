"""Detectors take up the state that those of their kind had in a snapshot; what no longer fits is told, not passed over.

Between two versions of Andon a class may get other detectors by default, and a kind may keep its state in another form.
"""

from collections.abc import Mapping, Sequence

from andon.own_findings import kind_of
from andon.ports import Detector, State

Place = tuple[str, int]
"""An asset, and which of its detectors."""


def name_of(asset_id: str, index: int) -> str:
    """What a snapshot calls the state of an asset's detector at that place."""
    return f"detector/{asset_id}/{index}"


def take_up(
    detectors: Mapping[str, Sequence[Detector]],
    parts: Mapping[str, State],
    kinds: Mapping[str, Sequence[str]],
    failed: set[Place],
) -> tuple[set[Place], list[str]]:
    """Give each detector its state; gives those that are still switched off, and what was forgotten, by asset and kind.

    `kinds` says which kind had which place, `failed` which places were switched off. A snapshot of an earlier version
    says no kinds: then the places are as they are now.
    """
    still, forgotten = set(), []
    for asset_id, present in detectors.items():
        now = [kind_of(detector) for detector in present]
        had = sum(name_of(asset_id, at) in parts for at in range(len(now)))
        left: list[str | None] = [*kinds.get(asset_id, now[:had])]
        for index, detector in enumerate(present):
            kind = kind_of(detector)
            if kind not in left:
                continue  # it begins now
            at = left.index(kind)
            left[at] = None
            state = parts[name_of(asset_id, at)]
            detector.restore(state)
            if (asset_id, at) in failed:
                still.add((asset_id, index))
            if state.keys() - detector.snapshot().keys():
                forgotten.append(f"{asset_id} {kind}")
        forgotten += [f"{asset_id} {kind}" for kind in left if kind is not None]
    return still, forgotten
