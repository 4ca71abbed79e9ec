"""Random variations of a frame, each a pure function of the generator's seed.

With nine places the augmentation decides: driving frames are turned, scaled, tilted, thinned by beam and range, mixed
by sector (PolarMix, Xiao et al. 2022) and by inclination band (LaserMix, Kong et al. 2023), and get objects of other
scenes put on their ground. Simulated frames and those of another sensor take part. Airborne tiles are cropped, turned, scaled and thinned to any density between the two kinds.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from objects import made_object

GROUND = np.isin(np.arange(256), [9, 10, 11, 12, 17, 103])
# how often a sample begins with a frame of this kind, where there are any
KINDS = {"kitti": 0.65, "own": 0.65, "sim": 0.2, "nuscenes": 0.15, "raw": 0.25}
# how often each class is pasted: rare ones, and thin ones that decide the smallest groups
PASTE = {1: 1.0, 2: 2.0, 3: 2.0, 4: 1.5, 5: 1.5, 6: 5.0, 7: 2.0, 8: 2.0, 16: 1.0, 18: 2.0, 19: 2.0}
SCALARS = ("intensity", "has_intensity")


def turn(positions, angle):
    c, s = np.cos(angle), np.sin(angle)
    out = positions.copy()
    out[:, 0] = c * positions[:, 0] - s * positions[:, 1]
    out[:, 1] = s * positions[:, 0] + c * positions[:, 1]
    return out


def _clusters(positions, radius):
    pairs = cKDTree(positions).query_pairs(radius, output_type="ndarray")
    n = len(positions)
    return connected_components(coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (n, n)), False)[1]


def objects_of(frames):
    """Objects to paste, by class: points turned to azimuth 0, height relative to the ground beneath."""
    out = {c: [] for c in PASTE}
    for frame in frames:
        ground = frame.positions[GROUND[frame.labels]]
        tree = cKDTree(ground[:, :2])
        for c in PASTE:
            members = np.flatnonzero(frame.labels == c)
            if len(members) < 15:
                continue
            ids = frame.instances[members] if c <= 8 else _clusters(frame.positions[members], 0.6)
            for one in np.unique(ids):
                index = members[ids == one]
                points = frame.positions[index]
                centre = points.mean(0)
                if len(index) < 15 or np.hypot(centre[0], centre[1]) > 50 or np.ptp(points[:, 0]) > 12:
                    continue
                near = tree.query_ball_point(centre[:2], 2.0)
                base = np.percentile(ground[near, 2], 30) if len(near) > 4 else points[:, 2].min()
                if points[:, 2].min() - base > 1.0 and c <= 8:
                    continue
                points = turn(points, -np.arctan2(centre[1], centre[0]))
                points[:, 2] -= base
                scalars = {k: frame.extras[k][index] for k in SCALARS}
                out[c].append((points, scalars, np.full(len(points), c, np.uint8)))
    return {c: v for c, v in out.items() if v}


def boxed_objects(frames):
    """Objects in boxes of frames without other labels, as `objects_of`: the lowest 15 cm of a box are the road."""
    out = {}
    for frame in frames:
        for c in (6, 7):
            members = np.flatnonzero(frame.labels == c)
            for one in np.unique(frame.instances[members]):
                index = members[frame.instances[members] == one]
                points = frame.positions[index]
                base = points[:, 2].min()
                high = points[:, 2] > base + 0.15
                index, points = index[high], points[high]
                if len(index) < 15:
                    continue
                centre = points.mean(0)
                points = turn(points, -np.arctan2(centre[1], centre[0]))
                points[:, 2] -= base
                scalars = {k: frame.extras[k][index] for k in SCALARS}
                out.setdefault(c, []).append((points, scalars, np.full(len(points), c, np.uint8)))
    return out


def _paste(rng, positions, extras, labels, objects, count):
    """Puts `count` objects on free ground at their own range; what they hide is removed."""
    classes = list(objects)
    odds = np.array([PASTE[c] for c in classes])
    planar = np.hypot(positions[:, 0], positions[:, 1])
    azimuth = np.arctan2(positions[:, 1], positions[:, 0])
    slope = positions[:, 2] / np.maximum(planar, 1e-3)
    keep = np.ones(len(positions), bool)
    added = []
    for _ in range(count):
        if rng.random() < 0.45:
            points, scalars, own_labels = made_object(rng)
        else:
            c = classes[rng.choice(len(classes), p=odds / odds.sum())]
            points, scalars, own_labels = objects[c][rng.integers(len(objects[c]))]
        if len(points) < 10:
            continue
        if rng.random() < 0.5:
            points = points * np.array([1, -1, 1], np.float32)
        # stretched about its own foot, so that its range and thus its density stay right
        foot = np.array([points[:, 0].mean(), 0, 0])
        points = (points - foot) * rng.uniform(0.85, 1.15, 3) + foot
        shift = np.array([rng.uniform(-1.5, 1.5), 0, 0])
        if points[:, 0].min() + shift[0] < 2:
            continue
        points = points + shift
        spun = turn(points - foot - shift, rng.normal(0, 0.3)) + foot + shift
        radius = max(0.4, 0.5 * np.hypot(np.ptp(spun[:, 0]), np.ptp(spun[:, 1])))
        for _ in range(6):
            placed = turn(spun, rng.uniform(-np.pi, np.pi))
            centre = placed[:, :2].mean(0)
            offset = positions[:, :2] - centre
            close = np.flatnonzero((np.abs(offset[:, 0]) < radius + 0.7) & (np.abs(offset[:, 1]) < radius + 0.7) & keep)
            under = GROUND[labels[close]]
            if under.sum() < 5:
                continue
            level = np.median(positions[close[under], 2])
            blocked = ~under & (positions[close, 2] > level + 0.3) & (positions[close, 2] < level + placed[:, 2].max())
            if blocked.sum() > 3:
                continue
            placed[:, 2] += level
            if added and np.min([np.hypot(*(centre - a[0][:, :2].mean(0))) for a in added]) < 2 * radius:
                continue
            own = np.hypot(placed[:, 0], placed[:, 1])
            turn_of = (np.arctan2(placed[:, 1], placed[:, 0]) - np.arctan2(centre[1], centre[0]) + np.pi) % (2 * np.pi)
            relative = (azimuth - np.arctan2(centre[1], centre[0]) + np.pi) % (2 * np.pi)
            step = np.deg2rad(0.4)
            low_bin = int(turn_of.min() / step)
            bins = int(turn_of.max() / step) - low_bin + 1
            lowest, highest = np.full(bins, np.inf), np.full(bins, -np.inf)
            where = (turn_of / step).astype(int) - low_bin
            np.minimum.at(lowest, where, placed[:, 2] / own)
            np.maximum.at(highest, where, placed[:, 2] / own)
            cell = (relative / step).astype(int) - low_bin
            candidate = np.flatnonzero((cell >= 0) & (cell < bins) & (planar > own.min()))
            inside = (slope[candidate] > lowest[cell[candidate]] - 0.004) & (
                slope[candidate] < highest[cell[candidate]] + 0.004
            )
            keep[candidate[inside]] = False
            added.append((placed.astype(np.float32), scalars, own_labels))
            break
    positions = np.concatenate([positions[keep]] + [a[0] for a in added])
    extras = {k: np.concatenate([extras[k][keep]] + [a[1][k] for a in added]) for k in SCALARS}
    labels = np.concatenate([labels[keep]] + [a[2] for a in added])
    return positions, extras, labels


def _select(part, mask):
    positions, extras, labels = part
    return positions[mask], {k: v[mask] for k, v in extras.items()}, labels[mask]


def _join(a, b):
    return np.concatenate([a[0], b[0]]), {k: np.concatenate([a[1][k], b[1][k]]) for k in a[1]}, np.concatenate([a[2], b[2]])


def _mix(rng, a, b):
    """A sector or an inclination band of `a` is replaced by that of `b`."""
    if rng.random() < 0.7:
        start, width = rng.uniform(-np.pi, np.pi), rng.uniform(np.pi / 3, 1.2 * np.pi)
        key = lambda p: (np.arctan2(p[:, 1], p[:, 0]) - start) % (2 * np.pi) < width
    else:
        edges = np.sort(rng.uniform(-0.42, 0.05, rng.integers(1, 4)))
        key = lambda p: np.searchsorted(edges, np.arctan2(p[:, 2], np.hypot(p[:, 0], p[:, 1]))) % 2 == 0
    return _join(_select(a, ~key(a[0])), _select(b, key(b[0])))


def _varied_intensity(rng, extras, absent):
    """Another sensor's remission: scaled, shifted, bent; or none at all."""
    if rng.random() < absent:
        return {k: np.zeros_like(v) for k, v in extras.items()}
    value = extras["intensity"] * np.float32(rng.uniform(0.7, 1.3)) + np.float32(rng.normal(0, 0.04))
    value = np.clip(value + rng.normal(0, 0.03, len(value)).astype(np.float32), 0, 1)
    if rng.random() < 0.3:
        value = value ** np.float32(rng.uniform(0.6, 1.6))
    return {"intensity": value.astype(np.float32), "has_intensity": extras["has_intensity"]}


def kind_of(frame):
    return frame.group.split("-")[0] if "-" in frame.group else "kitti"


def pools_of(frames):
    """Frames by kind and drive: `{kind: {drive: [frame]}}`."""
    pools = {}
    for frame in frames:
        pools.setdefault(kind_of(frame), {}).setdefault(frame.group, []).append(frame)
    return pools


def driving_sample(rng, pools, objects):
    """`(positions, extras, labels)` of one random variation."""
    kinds = sorted(pools)
    odds = np.array([KINDS[kind] for kind in kinds])

    def one(but=None):
        kind = kinds[rng.choice(len(kinds), p=odds / odds.sum())]
        drives = [drive for drive in sorted(pools[kind]) if drive != but] or sorted(pools[kind])
        drive = drives[rng.integers(len(drives))]
        frame = pools[kind][drive][rng.integers(len(pools[kind][drive]))]
        positions = turn(frame.positions, rng.uniform(-np.pi, np.pi))
        if rng.random() < 0.5:
            positions[:, 1] *= -1
        return kind, drive, (positions, dict(frame.extras), frame.labels)

    kind, drive, sample = one()
    kinds_in = {kind}
    if rng.random() < 0.6:
        kind, _, other = one(drive)
        kinds_in.add(kind)
        sample = _mix(rng, sample, other)
    if rng.random() < 0.9:
        sample = _paste(rng, *sample, objects, rng.integers(3, 16))
    positions, extras, labels = sample
    keep = rng.random(len(positions)) > rng.choice([0.0, 0.1, 0.3], p=[0.5, 0.25, 0.25])
    planar = np.hypot(positions[:, 0], positions[:, 1])
    if rng.random() < 0.3:
        keep &= rng.random(len(positions)) > np.clip((planar - 10) / rng.uniform(40, 120), 0, 0.7)
    chance = rng.random()
    if chance < 0.4:
        beam = ((np.arctan2(positions[:, 2], planar) + 0.5) * (64 / 0.47)).astype(int).clip(0, 127)
        if chance < 0.25:
            keep &= (rng.random(128) > rng.uniform(0, 0.4))[beam]
        else:  # a sensor of 32, 21 or 16 beams
            keep &= beam % rng.integers(2, 5) == 0
    if rng.random() < 0.2:
        keep &= planar < rng.uniform(25, 60)
    if rng.random() < 0.5:  # a part of the circle: more different scenes for the same time
        start, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.7, 1.6) * np.pi
        keep &= (np.arctan2(positions[:, 1], positions[:, 0]) - start) % (2 * np.pi) < width
    positions, extras, labels = _select((positions, extras, labels), keep)
    positions = positions.astype(np.float64)
    roll, pitch = rng.normal(0, 0.012, 2)
    tilt = np.array([[1, 0, pitch], [0, 1, roll], [-pitch, -roll, 1]])
    positions = positions @ tilt.T * rng.uniform(0.92, 1.08)
    positions *= rng.uniform(0.95, 1.05, 3)
    positions += rng.normal(0, 0.01, positions.shape)
    positions[:, 2] += rng.normal(0, 0.12)
    # simulated remission is a shade, not a measurement
    return positions.astype(np.float32), _varied_intensity(rng, extras, 0.5 if "sim" in kinds_in else 0.2), labels


def airborne_sample(rng, frames):
    """A random window of a random tile: dense ones at any thinning, decimated ones as they are or a little thinner."""
    dense = [f for f in frames if f.group == "dense"]
    sparse = [f for f in frames if f.group == "decimated"]
    if rng.random() < 0.6:
        # the rural tile is nearly all ground: seldom
        odds = np.array([0.3 if (f.labels == 2).mean() > 0.9 else 1.0 for f in dense])
        frame = dense[rng.choice(len(dense), p=odds / odds.sum())]
        keep_share = np.exp(rng.uniform(np.log(0.01), 0)) if rng.random() < 0.6 else rng.uniform(0.5, 1)
        window, most = rng.uniform(25, 75), 20000
    else:
        frame = sparse[rng.integers(len(sparse))]
        keep_share = 1.0 if rng.random() < 0.5 else rng.uniform(0.4, 1)
        window, most = rng.uniform(120, 500), 8000  # such points are nodes in every level: dear
    centre = frame.positions[rng.integers(len(frame.positions)), :2]
    away = np.abs(frame.positions[:, :2] - centre).max(1)
    index = np.flatnonzero(away < window)
    index = index[rng.random(len(index)) < keep_share]
    if len(index) > most:
        order = np.argsort(away[index])
        index = index[order[:most]]
    index.sort()
    positions = frame.positions[index].astype(np.float64)
    positions -= positions.mean(0) + np.array([0, 0, rng.uniform(-50, 50)])
    positions = turn(positions, rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.5:
        positions[:, 1] *= -1
    positions *= rng.uniform(0.85, 1.15)
    positions[:, 2] *= rng.uniform(0.85, 1.15)
    slope = rng.normal(0, 0.04, 2)
    positions[:, 2] += positions[:, :2] @ slope
    positions += rng.normal(0, rng.choice([0.01, 0.04]), positions.shape)
    positions[:, :2] += rng.uniform(0, 48, 2)
    extras = {k: v[index] for k, v in frame.extras.items()}
    if rng.random() < 0.15:
        extras = {k: np.zeros_like(v) for k, v in extras.items()}
    return positions.astype(np.float32), extras, frame.labels[index]
