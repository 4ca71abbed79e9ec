"""Reads the labelled frames: KITTI scans and IGN tiles, as positions, extras and labels per point."""

from dataclasses import dataclass
from pathlib import Path

import laspy
import numpy as np

from settings import SEQUENCES, TRAIN_TILES, VALIDATION_SEQUENCES, VALIDATION_TILES

KITTI = "rancheng-mini_kitti_dataset/laz"
RAW = "kitti-raw-drives"
NUSCENES = "ika-nuscenes-range-images"

# SemanticKITTI's raw ids by train id; what moves has ids of its own (semantic-kitti.yaml of its API)
RAW_IDS = [0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81]
TRAIN_ID = np.zeros(65536, np.uint8)
TRAIN_ID[RAW_IDS] = np.arange(20)
for _raw, _train in {13: 5, 16: 5, 60: 9, 252: 1, 253: 7, 254: 6, 255: 8, 256: 5, 257: 5, 258: 4, 259: 5}.items():
    TRAIN_ID[_raw] = _train

# labels of the nuScenes images, 0 to 10: a class, or a set of `settings.SETS`
NUSCENES_LABELS = np.zeros(256, np.uint8)
NUSCENES_LABELS[:10] = [9, 103, 101, 14, 102, 6, 105, 1, 104, 5]


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


def nuscenes_images(root, split):
    """Labelled sweeps of a 32-beam sensor in another city."""
    frames = []
    for path in sorted((Path(root) / NUSCENES / split).glob("*.npz"), key=lambda p: int(p.stem)):
        image = np.load(path)
        seen = image["label"] != 255
        positions = np.stack([image[axis][seen] for axis in "xyz"], 1).astype(np.float32)
        extras = {
            "intensity": (image["intensity"][seen] / 255).astype(np.float32),
            "has_intensity": np.ones(len(positions), np.float32),
        }
        labels = NUSCENES_LABELS[image["label"][seen]]
        frames.append(Frame(f"nuscenes-{split}/{path.stem}", f"nuscenes-{split}", positions, extras, labels,
                            np.zeros(len(positions), np.int64)))
    return frames


def raw_frames(root):
    """Sweeps of drives without labels but for what lies in boxes: label 0 = not known, not unlabelled."""
    frames = []
    for path in sorted((Path(root) / RAW).glob("*/*.laz")):
        las = laspy.read(path)
        positions = np.stack([las.x, las.y, las.z], 1).astype(np.float32)
        extras = {
            "intensity": np.asarray(las.intensity, np.float32) / 100,
            "has_intensity": np.ones(len(positions), np.float32),
        }
        labels = TRAIN_ID[np.asarray(las.point_source_id)]
        boxed = "instance" in las.point_format.dimension_names
        instances = np.asarray(las.instance, np.int64) if boxed else np.zeros(len(positions), np.int64)
        frames.append(Frame(f"raw-{path.parent.name}/{path.stem}", f"raw-{path.parent.name}", positions, extras, labels, instances))
    return frames


def kitti_frames(root, kind, but=()):
    """Frames of drives in KITTI's layout with SemanticKITTI labels: `ROOT/DRIVE/velodyne/*.bin`, `ROOT/DRIVE/labels/*.label`.

    `but` are drives to leave out. Raises ValueError for a frame whose labels are missing or of another number.
    """
    frames = []
    for path in sorted(Path(root).glob("*/velodyne/*.bin")):
        drive = path.parent.parent
        if drive.name in but:
            continue
        points, labels = np.fromfile(path, "<f4").reshape(-1, 4), drive / "labels" / f"{path.stem}.label"
        if not labels.exists() or labels.stat().st_size != 4 * len(points):
            raise ValueError(f"{path}: found {len(points)} points, expected as many labels of 4 bytes in {labels}")
        words = np.fromfile(labels, "<u4")
        extras = {"intensity": points[:, 3].copy(), "has_intensity": np.ones(len(points), np.float32)}
        finite = np.isfinite(points).all(1)
        frames.append(Frame(f"{kind}-{drive.name}/{path.stem}", f"{kind}-{drive.name}", points[finite, :3].copy(),
                            {k: v[finite] for k, v in extras.items()}, TRAIN_ID[words[finite] & 0xFFFF],
                            (words[finite] >> 16).astype(np.int64)))
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


def load(name, root, split, left_out=VALIDATION_SEQUENCES):
    """Frames of `split` ("train" or "validation") of the model `name`.

    `left_out` are the validation drives; for airborne it says whether the validation tiles are left out. With none, all is trained on.
    """
    if name != "airborne":
        chosen = [s for s in SEQUENCES if s not in left_out] if split == "train" else left_out
        return driving_frames(root, chosen)
    if split == "validation":
        return airborne_frames(root, VALIDATION_TILES) if left_out else []
    return airborne_frames(root, TRAIN_TILES) + ([] if left_out else airborne_frames(root, VALIDATION_TILES))


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
