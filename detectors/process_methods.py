"""Other ways to say how far features are from the healthy ones: all of them at once instead of one by one.

Each is learned from the distances of healthy rows, in reaches, on the first two thirds of them and measured on
the rest, so that 1 is as far as a healthy row was seen to go. Frozen, in arrays alone.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from andon.events import Float64, Int64

Method = Literal["reach", "pca", "trees", "covariance"]

_KEPT = 0.9  # of the variance, by the principal components
_CORE = 0.75  # of the rows, that the robust covariance is made of
_SHRINK = 0.1  # of the mean variance, put into the covariance's diagonal
_ROUNDS = 10  # of concentration; it settles in fewer
_TREES, _HEIGHT, _SPAN = 25, 6, 4.0  # the trees cut up +-4 reaches
_USUAL = 0.99  # quantile of the healthy rows that a distance is measured in
_ALIKE = {"pca": 1.6, "covariance": 1.8, "trees": 2.75}  # so that one limit suits all (measured on SKAB)


@dataclass(slots=True)
class Learned:
    """What a method has learned; each uses what it needs. Trees stand as arrays (trees, nodes), breadth first."""

    mean: Float64 = field(default_factory=lambda: np.zeros(0))
    inverse: Float64 = field(default_factory=lambda: np.zeros(0))
    rest: Float64 = field(default_factory=lambda: np.zeros(0))
    feature: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    threshold: Float64 = field(default_factory=lambda: np.zeros(0))
    mass: Float64 = field(default_factory=lambda: np.zeros(0))
    usual: Float64 = field(default_factory=lambda: np.ones(2))


def learn(method: Method, away: Float64) -> Learned:
    """From the distances of healthy rows (n, features), in reaches."""
    first = away[: 2 * len(away) // 3]
    made = {"pca": _components, "covariance": _covariance, "trees": trees}[method](first)
    made.usual = np.ones(2)
    found = np.array([_statistics(method, made, row)[0] for row in away[len(first) :]])
    made.usual = np.maximum(np.quantile(found, _USUAL, axis=0), 1e-6)
    return made


def distance(method: Method, made: Learned, away: Float64) -> Float64:
    """How far each feature (features,) carries a row away; the largest is the distance of the row."""
    found, shares = _statistics(method, made, away)
    shares = np.maximum(shares, 0.0)
    scaled: Float64 = shares * (
        _ALIKE[method] * float((found / made.usual).max()) / max(float(shares.max()), 1e-12)
    )
    return scaled


def _statistics(method: Method, made: Learned, away: Float64) -> tuple[Float64, Float64]:
    """Two statistics of a row (the same twice where there is one), and what each feature has in them."""
    centred = away - made.mean
    if method == "trees":
        lost = -np.log(max(mass(made, away), 1e-9))
        return np.array([lost, lost]), np.abs(centred)
    of_t2 = np.abs(centred * (made.inverse @ centred))
    t = np.sqrt(max(float(centred @ made.inverse @ centred), 0.0))
    if method == "covariance":
        return np.array([t, t]), of_t2
    residual = made.rest @ centred
    both = np.array([t, np.sqrt(float(residual @ residual))])
    return both, residual**2 if both[1] / made.usual[1] > both[0] / made.usual[0] else of_t2


def _components(rows: Float64) -> Learned:
    """Hotelling's T² in the principal components, Q in what they leave (Jackson & Mudholkar 1979)."""
    mean = rows.mean(axis=0)
    _, size, axes = np.linalg.svd(rows - mean, full_matrices=False)
    variance = size**2 / len(rows)
    kept = int(np.searchsorted(np.cumsum(variance) / max(variance.sum(), 1e-12), _KEPT)) + 1
    main = axes[:kept]
    inverse = main.T @ (main / np.maximum(variance[:kept], 1e-6)[:, None])
    return Learned(mean=mean, inverse=inverse, rest=np.eye(len(mean)) - main.T @ main)


def _covariance(rows: Float64) -> Learned:
    """Minimum covariance determinant by concentration, from the rows nearest the median (Rousseeuw 1999)."""
    core = np.abs(rows - np.median(rows, axis=0)).sum(axis=1).argsort(kind="stable")
    core = core[: int(_CORE * len(rows))]
    for _ in range(_ROUNDS):
        mean = rows[core].mean(axis=0)
        centred = rows - mean
        spread = centred[core].T @ centred[core] / core.size
        spread += max(_SHRINK * float(np.trace(spread)) / len(mean), 1e-9) * np.eye(len(mean))
        inverse = np.linalg.inv(spread)
        nearest = np.sum(centred @ inverse * centred, axis=1).argsort(kind="stable")[: core.size]
        if np.array_equal(np.sort(nearest), np.sort(core)):
            break
        core = nearest
    return Learned(mean=mean, inverse=inverse)


def trees(rows: Float64) -> Learned:
    """Half-space trees (Tan, Ting & Liu 2011) as river grows them, then frozen and kept as arrays."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - loaded only where it is wanted

    forest: Any = HalfSpaceTrees(
        n_trees=_TREES, height=_HEIGHT, window_size=len(rows), seed=1
    )  # river is untyped
    for row in unit(rows):
        forest.learn_one(dict(enumerate(row.tolist())))
    inner, nodes = 2**_HEIGHT - 1, 2 ** (_HEIGHT + 1) - 1
    feature, threshold = np.zeros((_TREES, inner), np.int64), np.zeros((_TREES, inner))
    masses = np.zeros((_TREES, nodes))
    for tree, root in enumerate(forest.trees):
        level = [root]
        for at in range(nodes):
            node = level[at]
            masses[tree, at] = node.r_mass
            if at < inner:
                feature[tree, at], threshold[tree, at] = node.feature, node.threshold
                level += node.children
    return Learned(
        mean=np.zeros(rows.shape[1]), feature=feature, threshold=threshold, mass=masses / len(rows)
    )


def unit(away: Float64) -> Float64:
    """Distances as the trees want them, in 0..1."""
    scaled: Float64 = np.minimum(np.maximum(0.5 + away / (2 * _SPAN), 0.0), 1.0)
    return scaled


def mass(made: Learned, away: Float64) -> float:
    """Share of the largest possible score that river's walk through all trees gives a row, 0..1."""
    x, each = unit(away), np.arange(_TREES)
    at, going = np.zeros(_TREES, np.int64), np.ones(_TREES, np.bool_)
    score = np.zeros(_TREES)
    for depth in range(_HEIGHT + 1):
        here = made.mass[each, at]
        score += np.where(going, here * 2.0**depth, 0.0)
        if depth < _HEIGHT:
            going &= here >= 0.1  # river's size limit: fewer rows than that say nothing more
            right = x[made.feature[each, at]] >= made.threshold[each, at]
            at = 2 * at + 1 + right
    most: int = _TREES * (2 ** (_HEIGHT + 1) - 1)
    return float(score.sum()) / most
