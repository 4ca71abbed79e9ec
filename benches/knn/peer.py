"""A peer's full exact kNN graph, index build included, one thread: peer.py pykdtree|scipy|small_gicp.

A line `PATH K` on stdin names a cloud (x, y, z as f32) and asks for a run, answered by the process's milliseconds of CPU time."""
import sys
import time

import numpy as np


def pykdtree(points, k):
    from pykdtree.kdtree import KDTree
    return KDTree(points, leafsize=16).query(points, k=k + 1, sqr_dists=True)


def scipy(points, k):
    from scipy.spatial import cKDTree
    return cKDTree(points, leafsize=16).query(points, k=k + 1, workers=1)


def small_gicp(points, k):
    import small_gicp
    return small_gicp.KdTree(points, num_threads=1).batch_knn_search(points, k + 1, num_threads=1)


def main():
    peer = {"pykdtree": pykdtree, "scipy": scipy, "small_gicp": small_gicp}[sys.argv[1]]
    kind = np.float64 if sys.argv[1] == "small_gicp" else np.float32  # its only type; converted outside the time
    peer(np.random.default_rng(0).random((100, 3)).astype(kind), 2)
    print("ready", flush=True)
    held, points = None, None
    for line in sys.stdin:
        path, k = line.rstrip("\n").rsplit(" ", 1)
        if path != held:
            held, points = path, np.fromfile(path, "<f4").reshape(-1, 3).astype(kind)
        start = time.process_time()
        peer(points, int(k))
        print(f"{(time.process_time() - start) * 1e3:.3f}", flush=True)


main()
