"""Lays out clouds as x, y, z in little-endian f32: clouds.py DATA DRIVES OUT. DATA has the shared recordings, DRIVES is the list NAME=DIR,...
of simulated drives, of which the first frame of the first one is taken. Needs numpy, and laspy[lazrs] for the recordings."""
import sys
from pathlib import Path

import numpy as np


def write(points, path):
    if not path.exists():
        points = points[np.isfinite(points).all(1)]
        np.ascontiguousarray(points, "<f4").tofile(path)


def laz(path):
    import laspy

    las = laspy.read(path)
    xyz = np.stack([las.x, las.y, las.z], 1)
    return xyz - np.trunc(xyz.min(0) / 1000) * 1000


def main(data, drives, out):
    if drives:
        frame = Path(drives.split(",")[0].split("=", 1)[1]) / "000000.bin"
        write(np.fromfile(frame, "<f4").reshape(-1, 4)[:, :3], out / "simulated frame.f32")
    frames = sorted(data.glob("lidar/rancheng-mini_kitti_dataset/laz/*/*.laz"))
    for path in frames[:: max(1, len(frames) // 2)][:2]:
        write(laz(path), out / f"KITTI {path.parent.name}-{path.stem}.f32")
    for path in sorted(data.glob("lidar/**/*.pcd.bin"))[:1]:
        write(np.fromfile(path, "<f4").reshape(-1, 5)[:, :3], out / "nuScenes sweep.f32")
    tiles = [p for p in data.glob("lidar/IGNF*/**/*.laz") if 2e5 < p.stat().st_size < 8e6]
    for path in sorted(tiles, key=lambda p: p.stat().st_size)[-1:]:
        write(laz(path), out / "airborne tile.f32")


main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
