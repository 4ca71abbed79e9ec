"""Reads radar frames with joints (the npz files of MARS) and makes the graph of each frame.

The graph of frame t: nodes = points of frames t and t-1 of the same recording that lie in the box; edges = for every node its
K nearest other nodes. `README.md` states it step by step.
"""

import os
from dataclasses import dataclass

import numpy as np

JOINTS = ["SpineBase", "SpineMid", "Neck", "Head", "ShoulderLeft", "ElbowLeft", "WristLeft", "ShoulderRight", "ElbowRight",
          "WristRight", "HipLeft", "KneeLeft", "AnkleLeft", "FootLeft", "HipRight", "KneeRight", "AnkleRight", "FootRight",
          "SpineShoulder"]
BOX = np.array([[-1.5, 0.5, -1.5], [1.5, 3.5, 1.5]], np.float32)  # m; points outside are no nodes
AGES = 2  # frames in one graph
METRES_PER_FRAME = np.float32(0.1)  # an age as a distance
K = 8  # neighbours of a node
SPARE = 4  # neighbours kept beyond K while training, where points are dropped
OFFSET = np.array([0, 2, 0, 0, 3, 1], np.float32)  # features: (raw - OFFSET) * SCALE
SCALE = np.array([3, 4, 2, 2.5, 1, 1], np.float32)


@dataclass
class Frames:
    """Frames in order; `points` `[P, 5]`, frame f owns `offsets[f]..offsets[f + 1]`."""

    points: np.ndarray
    offsets: np.ndarray
    subject: np.ndarray
    movement: np.ndarray
    index: np.ndarray
    joints: np.ndarray | None

    def __len__(self):
        return len(self.offsets) - 1

    def starts(self):
        """For every frame, the first frame of its recording (frames that follow each other without a gap)."""
        new = np.ones(len(self), bool)
        new[1:] = ((self.subject[1:] != self.subject[:-1]) | (self.movement[1:] != self.movement[:-1])
                   | (self.index[1:] != self.index[:-1] + 1))
        return np.maximum.accumulate(np.where(new, np.arange(len(self)), 0))

    def select(self, keep):
        """The frames where `keep` is true; a gap ends a recording."""
        rows = np.where(keep)[0]
        counts = np.diff(self.offsets)[rows]
        take = np.concatenate([np.arange(self.offsets[r], self.offsets[r + 1]) for r in rows]) if len(rows) else []
        return Frames(self.points[np.asarray(take, np.int64)], np.concatenate([[0], np.cumsum(counts)]), self.subject[rows],
                      self.movement[rows], self.index[rows], None if self.joints is None else self.joints[rows])


def read(path):
    with np.load(path) as file:
        return Frames(file["points"], file["offsets"], file["subject"].astype(int), file["movement"].astype(int),
                      file["index"].astype(int), file["joints"] if "joints" in file else None)


def kept(points):
    """Which points are nodes: finite and in the box."""
    xyz = points[:, :3]
    return np.isfinite(points).all(1) & (xyz >= BOX[0]).all(1) & (xyz <= BOX[1]).all(1)


def features(points, age):
    """Features of nodes, f32: x, y, z, Doppler, log(1 + intensity), age; shifted and scaled."""
    raw = np.column_stack([points[:, :4], np.log1p(np.maximum(points[:, 4], 0)), age]).astype(np.float32)
    return (raw - OFFSET) * SCALE


def neighbours(xyz, age, k):
    """`[n, k]` the k nearest other nodes of each by (d2, index), d2 in f32 added in the order x, y, z, age; -1 where there are fewer."""
    n = len(xyz)
    d2 = np.zeros((n, n), np.float32)
    for column in (xyz[:, 0], xyz[:, 1], xyz[:, 2], age.astype(np.float32) * METRES_PER_FRAME):
        d = column[:, None] - column[None, :]
        d2 += d * d
    np.fill_diagonal(d2, np.inf)
    out = np.full((n, k), -1, np.int16)
    m = min(k, n - 1)
    if m > 0:
        out[:, :m] = np.argsort(d2, axis=1, kind="stable")[:, :m]
    return out


def graph_of(newest):
    """The graph of a frame from the points of it and of the frames before it, newest first: `(points, age, neighbours)`."""
    newest = [points[kept(points)] for points in newest]
    age = np.concatenate([np.full(len(points), a) for a, points in enumerate(newest)]).astype(np.int8)
    points = np.concatenate(newest)
    return points, age, neighbours(points[:, :3], age, K + SPARE)


@dataclass
class Graphs:
    """The graphs of all frames; frame f owns nodes `offsets[f]..offsets[f + 1]`, neighbours count from the first of them."""

    points: np.ndarray
    age: np.ndarray
    near: np.ndarray
    offsets: np.ndarray


def graphs_of(frames, cache=None):
    """The graphs of all frames; `cache` names a file that keeps them."""
    if cache is not None and cache.exists():
        with np.load(cache) as file:
            return Graphs(**file)
    starts = frames.starts()
    parts = []
    for f in range(len(frames)):
        newest = [frames.points[frames.offsets[f - a]:frames.offsets[f - a + 1]] for a in range(AGES) if f - a >= starts[f]]
        parts.append(graph_of(newest))
    counts = [len(age) for _, age, _ in parts]
    out = Graphs(np.concatenate([p for p, _, _ in parts]), np.concatenate([a for _, a, _ in parts]),
                 np.concatenate([n for _, _, n in parts]), np.concatenate([[0], np.cumsum(counts)]))
    if cache is not None:
        # Trainings side by side share it: it must be whole when it is there.
        own = cache.with_suffix(f".{os.getpid()}.npz")
        np.savez(own, **vars(out))
        own.replace(cache)
    return out
