"""Simple street objects made of boxes, tubes and ellipsoids, seen through the grid of a 64-beam sensor.

The recordings hold no bicycle at all in the training drives and a handful of people and trucks; these stand-ins are
pasted like the real objects. Surfaces are sampled densely, then each cell of the sensor's azimuth and elevation grid
keeps its nearest point, which gives the ring pattern and the self-occlusion of a scan.
"""

import numpy as np

SENSOR_HEIGHT = 1.73
STEP = np.deg2rad([0.17, 0.42])  # azimuth, elevation


def _box(rng, centre, size, n):
    points = rng.uniform(-0.5, 0.5, (n, 3))
    area = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    face = rng.choice(3, n, p=area / area.sum())
    points[np.arange(n), face] = np.where(rng.random(n) < 0.5, -0.5, 0.5)
    return points * size + centre


def _ellipsoid(rng, centre, radii, n):
    direction = rng.normal(0, 1, (n, 3))
    return direction / np.linalg.norm(direction, axis=1, keepdims=True) * radii + centre


def _tube(rng, start, end, radius, n):
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = (end - start) / max(np.linalg.norm(end - start), 1e-6)
    ring = rng.normal(0, 1, (n, 3))
    ring -= (ring @ axis)[:, None] * axis
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    return start + rng.random((n, 1)) * (end - start) + radius * ring


def _wheel(rng, x, radius, thickness, n, width=0.04):
    """A standing wheel in the x-z plane, touching the ground; mostly rim, some spokes."""
    angle = rng.uniform(0, 2 * np.pi, n)
    r = radius - thickness * rng.random(n)
    spoke = rng.random(n) < 0.12
    r[spoke] = radius * rng.random(spoke.sum())
    return np.stack([x + r * np.cos(angle), rng.normal(0, width / 2, n), radius + r * np.sin(angle)], 1)


def person(rng, n=6000, seated=False, base=0.0):
    height = rng.uniform(1.2, 1.95) if not seated else rng.uniform(1.6, 1.9)
    s, lean = height / 1.75, rng.uniform(-0.1, 0.35) if seated else rng.normal(0, 0.05)
    wide, stride, swing = rng.uniform(0.15, 0.28), rng.normal(0, 0.25), rng.normal(0, 0.3)
    hip = np.array([0, 0, base + (0.0 if seated else 0.85 * s)])
    neck = hip + np.array([lean, 0, 0.58 * s])
    parts = [
        _ellipsoid(rng, (hip + neck) / 2, [rng.uniform(0.12, 0.2), wide, 0.34 * s], int(n * 0.4)),
        _ellipsoid(rng, neck + [lean * 0.2, 0, 0.17 * s], [0.1, 0.085, 0.13], int(n * 0.1)),
    ]
    for side, sign in ((-1, -1), (1, 1)):
        y = side * 0.1
        foot = hip + (np.array([0.15, 0, -0.75 * s]) if seated else np.array([sign * stride, 0, -0.85 * s]))
        knee = hip + (np.array([0.35, 0, -0.3 * s]) if seated else (foot - hip) * 0.5)
        parts.append(_tube(rng, hip + [0, y, 0], knee + [0, y, 0], 0.085, int(n * 0.09)))
        parts.append(_tube(rng, knee + [0, y, 0], foot + [0, y, 0], 0.065, int(n * 0.09)))
        shoulder = neck + [0, side * (wide - 0.03), -0.06]
        hand = shoulder + (np.array([0.45, 0, -0.3]) if seated else np.array([-sign * swing, 0, -0.55 * s]))
        parts.append(_tube(rng, shoulder, hand, 0.05, int(n * 0.07)))
    if not seated and rng.random() < 0.3:
        parts.append(_box(rng, neck + [-0.22, 0, -0.25], [0.18, 0.3, 0.45], n // 10))
    return np.concatenate(parts)


def bicycle(rng, n=5000):
    radius, base = rng.uniform(0.3, 0.36), rng.uniform(0.95, 1.1)
    back, front = -base / 2, base / 2
    crank, seat, bars = [-0.05, 0, 0.3], [-0.2, 0, rng.uniform(0.8, 1.0)], [front - 0.15, 0, rng.uniform(0.9, 1.1)]
    parts = [_wheel(rng, back, radius, 0.05, n // 4), _wheel(rng, front, radius, 0.05, n // 4)]
    for a, b in ((crank, seat), (seat, bars), (crank, bars), ([back, 0, radius], crank), ([back, 0, radius], seat),
                 (bars, [front, 0, radius])):
        parts.append(_tube(rng, a, b, 0.022, n // 14))
    parts.append(_tube(rng, [bars[0], -0.28, bars[2]], [bars[0], 0.28, bars[2]], 0.02, n // 20))
    parts.append(_ellipsoid(rng, seat, [0.13, 0.07, 0.04], n // 30))
    if rng.random() < 0.3:
        parts.append(_box(rng, [front - 0.05, 0, 0.9], [0.25, 0.3, 0.25], n // 10))
    return np.concatenate(parts)


def bicyclist(rng):
    return np.concatenate([bicycle(rng), person(rng, seated=True, base=rng.uniform(0.85, 1.0)) + [-0.15, 0, 0]])


def motorcycle(rng, n=6000):
    radius, base = rng.uniform(0.26, 0.33), rng.uniform(1.2, 1.5)
    parts = [
        _wheel(rng, -base / 2, radius, 0.14, n // 5, 0.14), _wheel(rng, base / 2, radius, 0.14, n // 5, 0.14),
        _ellipsoid(rng, [0, 0, 0.6], [0.5, 0.17, 0.25], n // 4),
        _ellipsoid(rng, [-0.35, 0, 0.82], [0.4, 0.15, 0.1], n // 8),
        _tube(rng, [base / 2 - 0.2, 0, 1.0], [base / 2, 0, radius], 0.05, n // 12),
        _tube(rng, [base / 2 - 0.25, -0.35, 1.05], [base / 2 - 0.25, 0.35, 1.05], 0.03, n // 20),
    ]
    if rng.random() < 0.4:
        parts.append(_box(rng, [base / 2 - 0.2, 0, 0.95], [0.15, 0.4, 0.4], n // 8))
    return np.concatenate(parts)


def motorcyclist(rng):
    return np.concatenate([motorcycle(rng), person(rng, seated=True, base=0.85) + [-0.25, 0, 0]])


def _wheels(rng, length, width, radius, n):
    out = []
    for x in (-length * 0.3, length * 0.33):
        for y in (-width / 2, width / 2):
            out.append(_wheel(rng, x, radius, radius, n, 0.2) + [0, y, 0])
    return out


def truck(rng, n=30000):
    length, width, height = rng.uniform(5, 11), rng.uniform(2.0, 2.55), rng.uniform(2.4, 3.9)
    floor, cab = rng.uniform(0.6, 1.1), rng.uniform(1.5, 2.3)
    cab_height = min(height, rng.uniform(1.9, 3.0))
    rear = length - cab - rng.uniform(0.05, 0.4)
    parts = [
        _box(rng, [length / 2 - cab / 2, 0, 0.45 + (cab_height - 0.45) / 2], [cab, width * 0.95, cab_height - 0.45], n // 4),
        *_wheels(rng, length, width * 0.9, rng.uniform(0.38, 0.52), n // 40),
    ]
    kind = rng.random()
    if kind < 0.6:
        parts.append(_box(rng, [-length / 2 + rear / 2, 0, floor + (height - floor) / 2], [rear, width, height - floor], n // 2))
    else:  # flat bed or tipper, with or without a load
        parts.append(_box(rng, [-length / 2 + rear / 2, 0, floor + 0.3], [rear, width, rng.uniform(0.2, 1.0)], n // 3))
        if kind < 0.8:
            load = _ellipsoid(rng, [-length / 2 + rear / 2, 0, floor + 0.6], [rear * 0.45, width * 0.4, 0.7], n // 6)
            parts.append(load)
    return np.concatenate(parts)


def other_vehicle(rng, n=30000):
    """A van, a bus or a trailer."""
    kind = rng.random()
    if kind < 0.5:
        length, width, height = rng.uniform(4.6, 6.5), rng.uniform(1.8, 2.1), rng.uniform(1.9, 2.7)
    elif kind < 0.8:
        length, width, height = rng.uniform(9, 13), 2.5, rng.uniform(2.8, 3.2)
    else:
        length, width, height = rng.uniform(2, 4.5), rng.uniform(1.4, 2.1), rng.uniform(1.0, 2.4)
    points = _box(rng, [0, 0, 0.35 + (height - 0.35) / 2], [length, width, height - 0.35], n)
    front = points[:, 0] / length + 0.5
    points[:, 2] -= np.clip(front - 0.8, 0, 1) * rng.uniform(0, 3) * np.clip(points[:, 2] - 0.9, 0, None)
    return np.concatenate([points, *_wheels(rng, length, width * 0.95, 0.34, n // 40)])


def pole(rng, n=4000):
    height, radius = rng.uniform(2.5, 9), rng.uniform(0.04, 0.18)
    parts = [_tube(rng, [0, 0, 0], [rng.normal(0, 0.05), 0, height], radius, n)]
    if rng.random() < 0.5:
        reach = rng.uniform(0.4, 2.5)
        parts.append(_tube(rng, [0, 0, height], [reach, 0, height + rng.uniform(-0.1, 0.4)], 0.05, n // 5))
        parts.append(_box(rng, [reach, 0, height], [0.5, 0.2, 0.15], n // 10))
    if rng.random() < 0.3:
        parts.append(_box(rng, [0, 0, 0.6], [0.35, 0.35, 1.2], n // 4))
    return np.concatenate(parts)


def sign(rng, n=2500):
    """The plate alone; its pole is a pole."""
    low = rng.uniform(1.6, 3.0)
    wide, high = rng.uniform(0.45, 1.1), rng.uniform(0.45, 1.0)
    points = _box(rng, [0, 0, low + high / 2], [0.04, wide, high], n)
    if rng.random() < 0.5:
        r = np.hypot(points[:, 1] / wide, (points[:, 2] - low - high / 2) / high)
        points = points[r < 0.5]
    return points


MAKERS = {2: bicycle, 3: motorcycle, 4: truck, 5: other_vehicle, 6: person, 7: bicyclist, 8: motorcyclist, 18: pole}


def scan(rng, parts, distance):
    """`(points, labels)` of surface samples `[(points, label)]` seen from the sensor at `distance`; azimuth about 0."""
    points = np.concatenate([p for p, _ in parts])
    labels = np.concatenate([np.full(len(p), label, np.uint8) for p, label in parts])
    heading = rng.uniform(-np.pi, np.pi)
    c, s = np.cos(heading), np.sin(heading)
    x, y = c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]
    seen = np.stack([x + distance, y, points[:, 2] - SENSOR_HEIGHT], 1)
    planar = np.hypot(seen[:, 0], seen[:, 1])
    cell = np.stack([np.arctan2(seen[:, 1], seen[:, 0]), np.arctan2(seen[:, 2], planar)], 1) / STEP + rng.random(2)
    # sampled surfaces have holes: what lies well behind the front of a coarser cell is hidden too
    coarse = np.floor(cell / [5, 3]).astype(np.int64)
    coarse = np.unique(coarse[:, 0] * 4096 + coarse[:, 1], return_inverse=True)[1]
    front = np.full(coarse.max() + 1, np.inf)
    np.minimum.at(front, coarse, planar)
    shown = planar < front[coarse] + 0.4
    seen, labels, planar, cell = seen[shown], labels[shown], planar[shown], cell[shown]
    # beams sit in the middle of a cell; what falls between two beams is not seen
    near_beam = np.abs(cell[:, 1] - np.floor(cell[:, 1]) - 0.5) < 0.25
    near_beam &= cell[:, 1] < np.deg2rad(3) / STEP[1]
    seen, labels, planar, cell = seen[near_beam], labels[near_beam], planar[near_beam], np.floor(cell[near_beam])
    key = cell[:, 0].astype(np.int64) * 4096 + cell[:, 1].astype(np.int64)
    order = np.lexsort((planar, key))
    first = np.ones(len(order), bool)
    first[1:] = key[order][1:] != key[order][:-1]
    index = order[first]
    index = index[rng.random(len(index)) > 0.05]
    out = seen[index] + rng.normal(0, 0.012, (len(index), 3))
    out[:, 2] += SENSOR_HEIGHT
    return out.astype(np.float32), labels[index]


def made_object(rng):
    """A random object as it would be pasted: `(points, intensity, labels)`, height relative to the ground."""
    c = rng.choice([2, 3, 4, 5, 6, 7, 8, 18, 19], p=[0.16, 0.08, 0.12, 0.1, 0.24, 0.08, 0.06, 0.08, 0.08])
    if c == 19:
        plate = sign(rng)
        parts = [(plate, 19), (_tube(rng, [0.06, 0, 0], [0.06, 0, plate[:, 2].max()], 0.035, 2000), 18)]
    else:
        parts = [(MAKERS[c](rng), c)]
    distance = rng.uniform(8, 30) if c in (4, 5) else rng.uniform(4, 28)
    points, labels = scan(rng, parts, distance)
    intensity = np.clip(rng.uniform(0.05, 0.5) + rng.normal(0, 0.08, len(points)), 0, 0.99)
    intensity = np.where(labels == 19, np.clip(rng.uniform(0.3, 0.99) + rng.normal(0, 0.1, len(points)), 0, 0.99), intensity)
    return points, {"intensity": intensity.astype(np.float32), "has_intensity": np.ones(len(points), np.float32)}, labels
