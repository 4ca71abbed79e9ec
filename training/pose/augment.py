"""Batches for training: runs of frames of one recording, each with one random variation of the body, the radar and the cloud."""

import numpy as np
import torch

from data import K, features

SWAP = [0, 1, 2, 3, 7, 8, 9, 4, 5, 6, 14, 15, 16, 17, 10, 11, 12, 13, 18]  # left and right joints change places
CENTRE = np.array([0.0, 1.95, -0.95], np.float32)  # of scaling and rotation, in the radar's frame: the floor under the person
KINECT_X = 0.17  # the joints' frame lies this far to the side of the radar's, m


def vary(points, joints, rng, o):
    """One random variation of the points `[n, 5]` and joints `[f, 19, 3]` of a run of frames; changes `points`."""
    if rng.random() < o.mirror:
        points[:, 0] *= -1
        joints = joints[:, SWAP] * np.array([-1, 1, 1], np.float32) + np.array([2 * KINECT_X, 0, 0], np.float32)
    scale = (1 + rng.uniform(-o.scale, o.scale) + rng.uniform(-o.scale, o.scale, 3) / 2).astype(np.float32)
    angle = np.deg2rad(rng.uniform(-o.turn, o.turn))
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
    shift = (rng.uniform(-o.shift, o.shift, 3) * [1, 1, 0.6]).astype(np.float32)
    points[:, :3] = ((points[:, :3] - CENTRE) * scale) @ turn + CENTRE + shift + rng.normal(0, 0.01, (len(points), 3))
    centre = CENTRE + np.array([KINECT_X, 0, 0], np.float32)
    joints = ((joints - centre) * scale) @ turn + centre + shift
    points[:, 3] *= 1 + rng.normal(0, o.doppler)
    points[:, 3] += rng.normal(0, 0.02, len(points))
    if rng.random() < o.no_intensity:
        points[:, 4] = 10
    else:
        points[:, 4] *= np.exp(rng.normal(0, 0.3))
    return points, joints


def run_of(graphs, joints, start, rows, window, stride, rng=None, o=None):
    """The frames `rows` of one recording that begins at `start`, with the frames before them that their windows hold.

    `(features, near, alive, frame, frames, rows of each window, joints)`; numbers count from 0, -1 = there is none.
    """
    steps = stride * np.arange(window)
    held = rows[:, None] - steps
    frames = np.unique(held[held >= start])
    count = graphs.offsets[frames + 1] - graphs.offsets[frames]
    offsets = np.concatenate([[0], np.cumsum(count)])
    take = np.repeat(graphs.offsets[frames] - offsets[:-1], count) + np.arange(offsets[-1])
    points, age = graphs.points[take].copy(), graphs.age[take]
    near = graphs.near[take].astype(np.int64)
    near = np.where(near >= 0, near + np.repeat(offsets[:-1], count)[:, None], -1)
    alive = np.ones(len(take) + 1, bool)
    place = np.where(held >= start, np.searchsorted(frames, held), -1)
    joints = joints[rows]
    if rng is not None:
        if rng.random() < 0.6:
            alive[:-1] = rng.random(len(take)) > rng.uniform(0, o.drop_points)
        points, joints = vary(points, joints, rng, o)
        near[~alive[near] | (np.cumsum((near >= 0) & alive[near], axis=1) > K)] = -1
        short = np.where(rng.random(len(rows)) < 0.1, rng.integers(1, window + 1, len(rows)), window)
        place[np.arange(window)[None] >= short[:, None]] = -1  # as at the start of a recording
    else:
        near = near[:, :K]
    return (features(points, age), near, alive[:-1].astype(np.float32), np.repeat(np.arange(len(frames)), count), len(frames),
            place, joints.reshape(-1, 57).astype(np.float32))


def together(runs):
    """Runs as one batch of tensors; a missing neighbour or row gets the number after the last."""
    nodes = np.concatenate([[0], np.cumsum([len(r[0]) for r in runs])])
    rows = np.concatenate([[0], np.cumsum([r[4] for r in runs])])
    near = np.concatenate([np.where(r[1] >= 0, r[1] + n, nodes[-1]) for r, n in zip(runs, nodes)])
    frame = np.concatenate([r[3] + n for r, n in zip(runs, rows)])
    place = np.concatenate([np.where(r[5] >= 0, r[5] + n, rows[-1]) for r, n in zip(runs, rows)])
    x, alive, joints = (torch.from_numpy(np.concatenate([r[i] for r in runs])) for i in (0, 2, 6))
    return x, torch.from_numpy(near), alive, torch.from_numpy(frame), int(rows[-1]), torch.from_numpy(place), joints
