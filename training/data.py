"""Reads the labelled frames: KITTI scans and IGN tiles, as positions, extras and labels per point."""

from dataclasses import dataclass
from pathlib import Path

import laspy
import numpy as np

from settings import TRAIN_SEQUENCES, TRAIN_TILES, VALIDATION_SEQUENCES, VALIDATION_TILES

KITTI = "rancheng-mini_kitti_dataset/laz"


@dataclass
class Frame:
    """`labels` are class ids (0 = ignore); `extras` per-point arrays by the name of the scalar input."""

    name: str
    group: str  # sequence, or the tile's density
    positions: np.ndarray
    extras: dict
    labels: np.ndarray
    instances: np.ndarray


def driving_frames(root, sequences):
    frames = []
    for sequence in sequences:
        for path in sorted((Path(root) / KITTI / sequence).glob("*.laz")):
            las = laspy.read(path)
            positions = np.stack([las.x, las.y, las.z], 1).astype(np.float32)
            extras = {
                "intensity": np.asarray(las.intensity, np.float32) / 100,
                "has_intensity": np.ones(len(positions), np.float32),
            }
            labels = np.asarray(las.classification, np.uint8)
            instances = np.asarray(las.instance, np.int64)
            frames.append(Frame(f"{sequence}/{path.stem}", sequence, positions, extras, labels, instances))
    return frames


def airborne_extras(return_number, number_of_returns):
    """Return inputs; a point without them (number 0) has zeros and `has_returns` 0."""
    has = number_of_returns > 0
    total = np.maximum(number_of_returns, 1).astype(np.float32)
    return {
        "return_ratio": np.where(has, return_number / total, 0).astype(np.float32),
        "returns": np.where(has, total, 0).astype(np.float32),
        "has_returns": has.astype(np.float32),
    }


def read_tile(path):
    """`(positions, extras, classification)`: x, y, z less trunc(min / 1000) * 1000 per axis, in f32."""
    las = laspy.read(path)
    world = np.stack([las.x, las.y, las.z], 1).astype(np.float64)
    positions = (world - np.trunc(world.min(0) / 1000) * 1000).astype(np.float32)
    extras = airborne_extras(np.asarray(las.return_number), np.asarray(las.number_of_returns))
    return positions, extras, np.asarray(las.classification, np.uint8)


def airborne_frames(root, tiles):
    frames = []
    for density, paths in tiles.items():
        for path in paths:
            positions, extras, labels = read_tile(Path(root) / path)
            labels = np.where((labels >= 2) & (labels <= 6), labels, 0).astype(np.uint8)
            frames.append(Frame(Path(path).stem, density, positions, extras, labels, np.zeros(len(labels), np.int64)))
    return frames


def load(name, root, split):
    """Frames of `split` ("train" or "validation") of the model `name`."""
    if name == "driving":
        return driving_frames(root, TRAIN_SEQUENCES if split == "train" else VALIDATION_SEQUENCES)
    return airborne_frames(root, TRAIN_TILES if split == "train" else VALIDATION_TILES)


def node_labels(labels, node_of, nodes, classes):
    """Majority class index of the labelled points in each node (-1 = none) and their number.

    `classes` are the ids in output order; other ids count as unlabelled.
    """
    index = np.full(256, -1, np.int64)
    index[classes] = np.arange(len(classes))
    target = index[labels]
    known = target >= 0
    counts = np.bincount(node_of[known].astype(np.int64) * len(classes) + target[known], minlength=nodes * len(classes))
    counts = counts.reshape(nodes, len(classes))
    total = counts.sum(1)
    return np.where(total > 0, counts.argmax(1), -1), total
