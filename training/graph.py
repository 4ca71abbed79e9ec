"""The voxel pyramid of kNN graphs and its hand-made features: everything a frame is turned into before the network.

A frame's result is a pure function of that frame. Lengths are metres, positions `[n, 3]` f32. The Rust side mirrors
`voxel_downsample`, `knn`, `geometry_features` and `height_above_ground` line by line; where a result could depend on
rounding, the type of each step is stated.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from pykdtree.kdtree import KDTree

GEOMETRY = 10


@njit(cache=True)
def _voxel_keys(positions, size):
    n = positions.shape[0]
    cells = np.empty((n, 3), np.int64)
    for i in range(n):
        for axis in range(3):
            cells[i, axis] = np.int64(np.floor(np.float64(positions[i, axis]) / size))
    return cells


@njit(cache=True)
def _pick_representatives(positions, cells, order, keys, size):
    """Per run of equal keys: the point nearest the voxel's centre (f64), ties to the smallest index."""
    n = positions.shape[0]
    group = np.empty(n, np.int32)
    representatives = np.empty(n, np.int32)
    groups = 0
    best = np.inf
    for t in range(n):
        i = order[t]
        if t == 0 or keys[i] != keys[order[t - 1]]:
            groups += 1
            best = np.inf
        d2 = 0.0
        dx = np.float64(positions[i, 0]) - (np.float64(cells[i, 0]) + 0.5) * size
        dy = np.float64(positions[i, 1]) - (np.float64(cells[i, 1]) + 0.5) * size
        dz = np.float64(positions[i, 2]) - (np.float64(cells[i, 2]) + 0.5) * size
        d2 = dx * dx + dy * dy + dz * dz
        if d2 < best or (d2 == best and i < representatives[groups - 1]):
            best = d2
            representatives[groups - 1] = i
        group[i] = groups - 1
    return representatives[:groups].copy(), group


def voxel_downsample(positions, size):
    """One representative a voxel of edge `size`: `(representatives [m] ascending, node_of [n])`, both int32.

    Voxel index = floor(f64(x) / f64(size)) per axis; the representative is the point nearest the voxel's centre
    ((index + 0.5) * size, squared distance in f64), ties to the smallest index; `node_of[i]` is the node of point i.
    """
    size = float(size)
    if len(positions) == 0:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    cells = _voxel_keys(positions, size)
    local = cells - cells.min(0)
    span = local.max(0) + 1
    keys = (local[:, 0] * span[1] + local[:, 1]) * span[2] + local[:, 2]
    order = np.argsort(keys, kind="stable")
    representatives, group = _pick_representatives(positions, cells, order, keys, size)
    rank = np.argsort(representatives)
    place = np.empty(len(rank), np.int32)
    place[rank] = np.arange(len(rank), dtype=np.int32)
    return representatives[rank], place[group]


@njit(cache=True)
def _drop_self(found, k):
    n = found.shape[0]
    out = np.empty((n, k), np.int32)
    for i in range(n):
        m = 0
        for j in range(found.shape[1]):
            if found[i, j] != i and m < k:
                out[i, m] = found[i, j]
                m += 1
    return out


def knn(positions, k):
    """The `min(k, n - 1)` nearest other nodes of each node, nearest first: `[n, k_eff]` int32.

    A kd-tree is good enough for training; `knn_exact` orders ties by index as the product does.
    """
    n = len(positions)
    k = min(k, max(n - 1, 0))
    if k == 0:
        return np.zeros((n, 0), np.int32)
    _, found = KDTree(positions, leafsize=12).query(positions, k=k + 1)
    return _drop_self(found.astype(np.int32), k)


def knn_exact(positions, k):
    """Brute force, by (d2 in f32, index): the oracle for `knn`, for small clouds."""
    n = len(positions)
    k = min(k, max(n - 1, 0))
    difference = positions[:, None, :] - positions[None, :, :]
    squared = difference * difference
    d2 = (squared[..., 0] + squared[..., 1]) + squared[..., 2]
    np.fill_diagonal(d2, np.inf)
    return np.argsort(d2, axis=1, kind="stable")[:, :k].astype(np.int32)


@njit(cache=True)
def _squash(v, soft):
    return v / (soft + abs(v))


@njit(cache=True)
def geometry_features(positions, neighbours, size):
    """Shape of each node's neighbour list, `[n, 10]` f32, scaled by the level's voxel edge `size`; all in f32.

    With offsets d_j = p_j - p_i over the list, mean mu and covariance C = sum(d d^T) / m - mu mu^T, trace t,
    sum of principal 2x2 minors I2, determinant D and t' = max(t, 1e-6 size^2):
    q(sqrt(max(t, 0))), Czz / t', (Cxz^2 + Cyz^2) / t'^2, 3 I2 / t'^2, 27 D / t'^3, q(mu_z), q(sqrt(mu_x^2 + mu_y^2)),
    q(max d_z), q(min d_z), q(|d of the last neighbour|), where q(v) = v / (2 size + |v|) keeps lengths within (-1, 1):
    a far, lone point would otherwise have features of a hundred. A node with an empty list gets zeros.
    """
    n, m = neighbours.shape
    out = np.zeros((n, 10), np.float32)
    if m == 0:
        return out
    soft = np.float32(2.0) * np.float32(size)
    floor = np.float32(1e-6) * np.float32(size) * np.float32(size)
    count = np.float32(m)
    three = np.float32(3.0)
    twenty_seven = np.float32(27.0)
    zero = np.float32(0.0)
    for i in range(n):
        sx = sy = sz = zero
        xx = yy = zz = xy = xz = yz = zero
        high = np.float32(-np.inf)
        low = np.float32(np.inf)
        last = zero
        for j in range(m):
            q = neighbours[i, j]
            dx = positions[q, 0] - positions[i, 0]
            dy = positions[q, 1] - positions[i, 1]
            dz = positions[q, 2] - positions[i, 2]
            sx += dx
            sy += dy
            sz += dz
            xx += dx * dx
            yy += dy * dy
            zz += dz * dz
            xy += dx * dy
            xz += dx * dz
            yz += dy * dz
            high = max(high, dz)
            low = min(low, dz)
            last = dx * dx + dy * dy + dz * dz
        mx = sx / count
        my = sy / count
        mz = sz / count
        xx = xx / count - mx * mx
        yy = yy / count - my * my
        zz = zz / count - mz * mz
        xy = xy / count - mx * my
        xz = xz / count - mx * mz
        yz = yz / count - my * mz
        trace = xx + yy + zz
        t = max(trace, floor)
        # divided by t before multiplying, so that nothing overflows or vanishes
        xx, yy, zz, xy, xz, yz = xx / t, yy / t, zz / t, xy / t, xz / t, yz / t
        minors = (xx * yy - xy * xy) + (xx * zz - xz * xz) + (yy * zz - yz * yz)
        determinant = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
        out[i, 0] = _squash(np.sqrt(max(trace, zero)), soft)
        out[i, 1] = zz
        out[i, 2] = xz * xz + yz * yz
        out[i, 3] = three * minors
        out[i, 4] = twenty_seven * determinant
        out[i, 5] = _squash(mz, soft)
        out[i, 6] = _squash(np.sqrt(mx * mx + my * my), soft)
        out[i, 7] = _squash(high, soft)
        out[i, 8] = _squash(low, soft)
        out[i, 9] = _squash(np.sqrt(last), soft)
    return out


@njit(cache=True)
def _column_heights(positions, cells, width, depth):
    lowest = np.full((width + 2, depth + 2), np.inf)
    for i in range(positions.shape[0]):
        x, y = cells[i, 0] + 1, cells[i, 1] + 1
        lowest[x, y] = min(lowest[x, y], positions[i, 2])
    out = np.empty(positions.shape[0], np.float32)
    for i in range(positions.shape[0]):
        x, y = cells[i, 0], cells[i, 1]
        ground = np.inf
        for dx in range(3):
            for dy in range(3):
                ground = min(ground, lowest[x + dx, y + dy])
        out[i] = positions[i, 2] - np.float32(ground)
    return out


def height_above_ground(positions, columns, scale):
    """Height over the lowest node in the 3x3 columns around, per column edge in `columns`: `[n, len(columns)]` f32.

    Column index = floor(f64(x) / edge), floor(f64(y) / edge); the feature is (z - ground) / scale in f32.
    """
    out = np.zeros((len(positions), len(columns)), np.float32)
    if len(positions) == 0:
        return out
    for c, edge in enumerate(columns):
        cells = np.floor(positions[:, :2].astype(np.float64) / float(edge)).astype(np.int64)
        cells -= cells.min(0)
        width, depth = cells.max(0) + 1
        out[:, c] = _column_heights(positions, cells, width, depth) / np.float32(scale)
    return out


def ground_level(positions):
    """Height of the ground under the sensor: the median of the lowest nodes of all columns of 1 m within 20 m.

    -1.73 (the sensor height of KITTI) where fewer than 30 columns hold a node, or half of them lie more than 0.5 m
    off that median. The upper median of f32 values, so that no rounding enters.
    """
    reach, side, fewest = np.float32(20.0), 40, 30
    x, y = positions[:, 0], positions[:, 1]
    near = x * x + y * y < reach * reach
    column = ((x[near] + reach).astype(np.int64).clip(0, side - 1) * side
              + (y[near] + reach).astype(np.int64).clip(0, side - 1))
    lowest = np.full(side * side, np.inf, np.float32)
    np.minimum.at(lowest, column, positions[near, 2])
    lowest = np.sort(lowest[np.isfinite(lowest)])
    if len(lowest) < fewest:
        return np.float32(-1.73)
    height = lowest[len(lowest) // 2]
    flat = (np.abs(lowest.astype(np.float64) - np.float64(height)) < 0.5).mean()
    return height if flat >= 0.5 else np.float32(-1.73)


@dataclass
class Level:
    """One level of the pyramid; arrays over its nodes."""

    points: np.ndarray  # index in the frame of each node, ascending, int32
    positions: np.ndarray  # [n, 3] f32
    neighbours: np.ndarray  # [n, k_eff] int32
    features: np.ndarray  # [n, features] f32
    parent: np.ndarray  # node of the next level, int32; empty at the top


@dataclass
class Pyramid:
    levels: list
    node_of: np.ndarray  # level-0 node of each point, int32


def scalar_inputs(positions, extras, names, scales):
    """The level-0 scalars in the order of the configuration; `extras` holds per-point arrays by name."""
    columns = []
    for name, scale in zip(names, scales):
        if name == "z":
            value = positions[:, 2]
        elif name == "above_ground":
            value = positions[:, 2] - ground_level(positions)
        elif name == "range":
            value = np.sqrt(positions[:, 0] * positions[:, 0] + positions[:, 1] * positions[:, 1])
        else:
            value = extras[name]
        columns.append((value * np.float32(scale)).astype(np.float32))
    return np.stack(columns, 1) if columns else np.zeros((len(positions), 0), np.float32)


def build_pyramid(positions, extras, config, neighbours_of=knn):
    """Nodes, graphs, features and parents of every level.

    Level l has voxel edge s0 * 2^l. Features are geometry(10), then one height per column edge; level 0 has the scalar
    inputs after them.
    """
    columns, scale = config["columns"], config["hag_scale"]
    points, node_of = voxel_downsample(positions, config["s0"])
    nodes = positions[points]
    heights = height_above_ground(nodes, columns, scale)
    scalars = scalar_inputs(nodes, {n: v[points] for n, v in extras.items()}, config["inputs"], config["input_scales"])
    levels = []
    for level in range(config["levels"]):
        size = config["s0"] * 2**level
        neighbours = neighbours_of(nodes, config["k"])
        features = [geometry_features(nodes, neighbours, size), heights]
        if level == 0:
            features.append(scalars)
        if level + 1 < config["levels"]:
            picked, parent = voxel_downsample(nodes, 2 * size)
        else:
            picked, parent = None, np.zeros(0, np.int32)
        levels.append(Level(points, nodes, neighbours, np.concatenate(features, 1), parent))
        if picked is not None:
            points, nodes, heights = points[picked], nodes[picked], heights[picked]
    return Pyramid(levels, node_of)
