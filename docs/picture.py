"""Draws a labelled frame in perspective, from behind and above the sensor, in SemanticKITTI's colours.

    python docs/picture.py FOLDER LABELS.parquet docs/segmentation.png [--frame N]

FOLDER holds velodyne/*.bin (a KITTI sequence, or what `thalweg simulate street` wrote); LABELS.parquet is what
`thalweg run segment --input FOLDER` wrote. Needs numpy, pyarrow, matplotlib (which brings pillow).
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

# SemanticKITTI's train ids 0-19: name and colour, the darkest ones lifted to show on a dark ground.
CLASSES = [
    ("unlabelled", "#505050"), ("car", "#6496f5"), ("bicycle", "#64e6f5"), ("motorcycle", "#3c5ad2"),
    ("truck", "#7a3ad8"), ("other-vehicle", "#6450fa"), ("person", "#ff3030"), ("bicyclist", "#ff28c8"),
    ("motorcyclist", "#c03a80"), ("road", "#d83cd8"), ("parking", "#ff96ff"), ("sidewalk", "#7c2a7c"),
    ("other-ground", "#c8285a"), ("building", "#ffc800"), ("fence", "#ff7832"), ("vegetation", "#12b012"),
    ("trunk", "#a05a1e"), ("terrain", "#96f050"), ("pole", "#fff096"), ("traffic-sign", "#ff2020"),
]  # fmt: skip
GROUND = np.array([0.035, 0.04, 0.055])
WIDTH, HEIGHT, SCALE = 1600, 800, 2
EYE, TARGET, FOCAL = np.array([-20.0, 3.5, 12.0]), np.array([9.0, -0.5, -2.5]), 0.98


def project(points):
    """Pixel columns, pixel rows and depths (m) of points [n, 3]; a point behind the eye has depth <= 0."""
    ahead = (TARGET - EYE) / np.linalg.norm(TARGET - EYE)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, ahead)
    depth = (points - EYE) @ ahead
    size = FOCAL * WIDTH * SCALE / np.maximum(depth, 0.1) / 2
    column = WIDTH * SCALE / 2 + (points - EYE) @ right * size
    row = HEIGHT * SCALE * 0.41 - (points - EYE) @ up * size
    return column, row, depth


def draw(points, intensity, label):
    """Image [HEIGHT, WIDTH, 3]: every point a square of about 6 cm, at least 3 pixels; the nearest wins."""
    column, row, depth = project(points)
    colour = np.array([matplotlib.colors.to_rgb(c) for _, c in CLASSES])[label]
    light = np.clip(0.72 + 0.5 * intensity + 0.06 * np.clip(points[:, 2], -1.5, 3), 0.55, 1.15)
    haze = np.clip((depth - 25) / 90, 0, 0.75)
    colour = np.clip(colour * light[:, None], 0, 1) * (1 - haze)[:, None] + GROUND * haze[:, None]
    half = np.clip(0.035 * FOCAL * WIDTH * SCALE / 2 / np.maximum(depth, 0.1), 1, 4).astype(int)
    image = np.broadcast_to(GROUND, (HEIGHT * SCALE, WIDTH * SCALE, 3)).copy()
    inside = (depth > 1) & (np.abs(column - WIDTH * SCALE / 2) < WIDTH * SCALE) & (np.abs(row) < 2 * HEIGHT * SCALE)
    order = np.flatnonzero(inside)
    order = order[np.argsort(-depth[order], kind="stable")]
    rows, columns, owners = [], [], []
    for size in range(1, 5):
        at = np.flatnonzero(half[order] == size)
        for dy in range(-size, size + 1):
            for dx in range(-size, size + 1):
                if dx * dx + dy * dy <= size * size + 1:
                    rows.append(row[order[at]].astype(int) + dy)
                    columns.append(column[order[at]].astype(int) + dx)
                    owners.append(at)
    rows, columns, owners = (np.concatenate(part) for part in (rows, columns, owners))
    seen = (rows >= 0) & (rows < HEIGHT * SCALE) & (columns >= 0) & (columns < WIDTH * SCALE)
    nearest = np.full((HEIGHT * SCALE, WIDTH * SCALE), -1)
    np.maximum.at(nearest, (rows[seen], columns[seen]), owners[seen])
    image[nearest >= 0] = colour[order[nearest[nearest >= 0]]]
    return image.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean(axis=(1, 3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--frame", type=int, default=0)
    arguments = parser.parse_args()

    scans = sorted((arguments.folder / "velodyne").glob("*.bin"))
    scan = np.fromfile(scans[arguments.frame], "<f4").reshape(-1, 4)
    table = pq.read_table(arguments.labels, columns=["frame", "point", "class"], filters=[("frame", "=", arguments.frame)])
    label = np.zeros(len(scan), int)
    label[table["point"].to_numpy()] = table["class"].to_numpy()
    image = draw(scan[:, :3].astype(float), scan[:, 3], label)

    figure = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    axes = figure.add_axes([0, 0, 1, 1])
    axes.imshow(image, interpolation="nearest", aspect="auto")
    axes.axis("off")
    axes.axhspan(HEIGHT - 62, HEIGHT, color=GROUND, alpha=0.85, lw=0)
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    shown = [c for c in np.argsort(-np.bincount(label, minlength=len(CLASSES))) if c and (label == c).sum() >= 30]
    handles = [plt.Line2D([], [], marker="o", ls="", ms=8, color=CLASSES[c][1], label=CLASSES[c][0]) for c in shown]
    axes.legend(handles=handles, loc="lower center", ncol=10, frameon=False, labelcolor="#d8d8d8", fontsize=11,
                columnspacing=1.2, handletextpad=0.1, borderaxespad=0.2)  # fmt: skip
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    # Steps of 16 in each channel halve the file; a palette would merge the colours of rare classes.
    Image.fromarray(np.minimum(pixels // 16 * 16 + 8, 255).astype(np.uint8)).save(arguments.picture, optimize=True)


if __name__ == "__main__":
    main()
