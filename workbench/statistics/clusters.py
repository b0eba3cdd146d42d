"""Rows that belong together: from one value a row to one mean a cluster."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def column(values: ArrayLike, name: str = "values") -> Floats:
    """`values` as a one-dimensional array of finite floats; ValueError when they are not."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, got {array.ndim}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every value must be a finite number")
    return array


def truths(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """`values` (0, 1, False, True) as a one-dimensional array of bool; ValueError for anything else."""
    array = column(values, name)
    if not np.isin(array, (0.0, 1.0)).all():
        raise ValueError(f"{name}: every value must be 0 or 1")
    return np.asarray(array == 1.0, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class ClusterMeans:
    """One entry a cluster, in the order in which the clusters first appear."""

    keys: tuple[Hashable, ...]
    means: Floats
    sizes: NDArray[np.int64]
    """Rows in each cluster, at least 1."""


def cluster_means(values: ArrayLike, clusters: Sequence[Hashable]) -> ClusterMeans:
    """The mean of each cluster's rows.

    `values`: n numbers; `clusters`: the n keys of their clusters. ValueError when the lengths differ or a value is not
    a finite number. No rows give no clusters.
    """
    rows = column(values)
    if len(rows) != len(clusters):
        raise ValueError(f"values and clusters differ in length: {len(rows)} and {len(clusters)}")
    place: dict[Hashable, int] = {}
    codes = np.fromiter((place.setdefault(key, len(place)) for key in clusters), dtype=np.intp, count=len(rows))
    sizes = np.bincount(codes, minlength=len(place)).astype(np.int64)
    means = np.bincount(codes, weights=rows, minlength=len(place)) / np.maximum(sizes, 1)
    return ClusterMeans(tuple(place), means, sizes)


@dataclass(frozen=True, slots=True)
class PairedMeans:
    """The clusters that both sides have, in the order of side a; `differences` is a minus b."""

    keys: tuple[Hashable, ...]
    a: Floats
    b: Floats
    differences: Floats
    n: int


def paired_means(
    values_a: ArrayLike,
    clusters_a: Sequence[Hashable],
    values_b: ArrayLike,
    clusters_b: Sequence[Hashable],
) -> PairedMeans:
    """Cluster means of two sides, aligned by key on the clusters that both sides have.

    Give the usable rows only: a cluster with no usable row on one side falls out of the comparison, and `n` says how
    many stay. ValueError as `cluster_means`.
    """
    first, second = cluster_means(values_a, clusters_a), cluster_means(values_b, clusters_b)
    where = {key: index for index, key in enumerate(second.keys)}
    shared = [(index, where[key]) for index, key in enumerate(first.keys) if key in where]
    left = np.array([i for i, _ in shared], dtype=np.intp)
    right = np.array([j for _, j in shared], dtype=np.intp)
    a, b = first.means[left], second.means[right]
    return PairedMeans(tuple(first.keys[i] for i, _ in shared), a, b, a - b, len(shared))
