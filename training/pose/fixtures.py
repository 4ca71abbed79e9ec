"""Writes a parity fixture: frames of a simulated person, and the rows and joints that PyTorch computes from them in f64.

    python training/pose/fixtures.py --model models/pose.safetensors --out tests/fixtures/pose CHECKPOINT.pt...

The checkpoints are those of the model, in the same order; of the model come the rule of sigma and the places. `pose.safetensors` there holds `points` `[P, 5]` f32,
`offsets` `[F + 1]` i32 (frame f owns points `offsets[f]..offsets[f + 1]`), the expected `rows` `[F, R]` and `joints` `[F, 19, 3]` f32 (m),
`sigma` `[F, 19]` f32 (m), `nodes` and `edges` `[F]` i32 (of each graph). Some frames are empty, one holds a NaN, some a point
outside the box, some points that stand twice. No recording is in it.
"""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from combine import Encoders, Heads
from data import AGES, K, features, graph_of
from evaluate import load
from familiar import distances, factor
from network import STRIDE, WINDOW

FRAMES = 40


def simulated(rng):
    """Points of somebody 2 m away who waves an arm; one array a frame."""
    frames = []
    for f in range(FRAMES):
        n = 0 if f in (0, 7, 20, 21, 22, 23) else int(rng.integers(1, 65))
        phase = 2 * np.pi * f / 25
        arm = rng.random(n) < 0.3
        along = rng.random(n)
        x = np.where(arm, 0.2 + 0.5 * along * np.cos(phase), rng.normal(0, 0.15, n))
        z = np.where(arm, 0.4 + 0.5 * along * np.sin(phase), rng.normal(0, 0.45, n))
        y = rng.normal(1.9, 0.1, n)
        points = np.column_stack([x, y, z, np.where(arm, along * np.cos(phase), rng.normal(0, 0.1, n)), rng.integers(2, 300, n)])
        points[:, :3] = np.round(points[:, :3] * 64) / 64  # a grid, as a radar's: distances tie
        if n > 8:
            points[5] = points[2]
        if f == 12 and n > 0:
            points[0, 1] = np.nan
        if f % 9 == 4 and n > 0:
            points[n - 1, 0] = -2.0
        frames.append(points.astype(np.float32))
    return frames


def edges_of(near):
    """`edge_index`: source = neighbour, target = node, in the order of the nodes, nearest first."""
    target, rank = np.where(near >= 0)
    return torch.from_numpy(np.stack([near[target, rank].astype(np.int64), target]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("checkpoints", nargs="+")
    o = parser.parse_args()
    frames = simulated(np.random.default_rng(o.seed))
    members = [load(path) for path in o.checkpoints]
    encoder = copy.deepcopy(Encoders([e for e, _ in members])).double().eval()
    head = Heads([h for _, h in members]).double().eval()
    with safe_open(o.model, "pt") as file:
        rule = json.loads(file.metadata()["thalweg"])["sigma"]
        known = [file.get_tensor(f"familiar.{name}").double().numpy() for name in ("scale", "places")]
    rows, means, outputs, nodes, edges = [], [], [], [], []
    with torch.no_grad():
        for f in range(FRAMES):
            points, age, near = graph_of([frames[f - a] for a in range(AGES) if f >= a])
            edge_index = edges_of(near[:, :K])
            nodes.append(len(points))
            edges.append(edge_index.shape[1])
            width = sum(e.row.out_features for e, _ in members)
            x = torch.from_numpy(features(points, age)).double()
            batch = torch.zeros(len(points), dtype=torch.long)
            rows.append(encoder(x, edge_index, batch) if len(points) else torch.zeros(1, width, dtype=torch.float64))
            held = [rows[f - STRIDE * i] if f >= STRIDE * i else torch.zeros_like(rows[0]) for i in range(WINDOW)]
            outputs.append(head(torch.cat(held, dim=1), None))
            there = [row for row in held if bool((row != 0).any())]
            means.append(sum(there) / len(there) if there else torch.zeros_like(rows[0]))
    out, wide = torch.cat(outputs), factor(distances(torch.cat(means).numpy(), *known), rule)
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in frames])]).astype(np.int32)
    Path(o.out).mkdir(parents=True, exist_ok=True)
    save_file({"points": torch.from_numpy(np.concatenate(frames)), "offsets": torch.from_numpy(offsets), "rows": torch.cat(rows).float(),
               "joints": out[:, :57].reshape(-1, 19, 3).float().contiguous(), "sigma": (out[:, 57:].exp() * torch.from_numpy(wide)[:, None]).float(),
               "nodes": torch.tensor(nodes, dtype=torch.int32), "edges": torch.tensor(edges, dtype=torch.int32)},
              Path(o.out) / "pose.safetensors")


if __name__ == "__main__":
    main()
