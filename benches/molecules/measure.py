"""Runs `thalweg run molecule` and two models in PyTorch in turn, and writes target/bench/molecules.json: aspirin frames a second.

The program's figure holds reading the XYZ file and writing Parquet; PyTorch's is the model alone, with forces by autograd, in
batches of 50 frames. The PaiNN has the sizes of its paper's rMD17 table (128 channels, three blocks, 20 radial functions, 5 Å) and
random weights: its layers are `training/equivariant.py`, its neighbour lists are made beforehand.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "training" / "molecules"), str(ROOT / "training")]
import cases  # noqa: E402
from equivariant import PaiNNInteraction, PaiNNMixing  # noqa: E402
from fit_rmd17 import load  # noqa: E402
from potential import open_potential  # noqa: E402

ROUNDS, BATCH, CHANNELS, BLOCKS, RADIAL, CUTOFF = 3, 50, 128, 3, 20, 5.0
SYMBOLS = {1: "H", 6: "C", 8: "O"}


class PaiNN(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(20, CHANNELS)
        self.filters = torch.nn.Linear(RADIAL, 3 * CHANNELS * BLOCKS)
        self.message = torch.nn.ModuleList(PaiNNInteraction(CHANNELS) for _ in range(BLOCKS))
        self.update = torch.nn.ModuleList(PaiNNMixing(CHANNELS) for _ in range(BLOCKS))
        self.out = torch.nn.Sequential(torch.nn.Linear(CHANNELS, 64), torch.nn.SiLU(), torch.nn.Linear(64, 1))

    def forward(self, z, coords, edges):
        source, own = edges
        d = coords[source] - coords[own]
        r = d.norm(dim=1, keepdim=True)
        n = torch.arange(1, RADIAL + 1)
        fade = 0.5 * (torch.cos(torch.pi * r / CUTOFF) + 1)
        filters = (self.filters(torch.sin(n * torch.pi * r / CUTOFF) / r) * fade).split(3 * CHANNELS, 1)
        q = self.embed(z)
        mu = torch.zeros(len(z), 3 * CHANNELS)
        for b in range(BLOCKS):
            q, mu = self.message[b](q, mu, edges, filters[b], d / r)
            q, mu = self.update[b](q, mu)
        return self.out(q).sum()


def painn(model, z, coords):
    """Frames a second of processor time, with forces."""
    count, atoms = coords.shape[:2]
    near = (np.linalg.norm(coords[:, :, None] - coords[:, None], axis=-1) < CUTOFF) & ~np.eye(atoms, dtype=bool)
    batches = []
    for first in range(0, count, BATCH):
        frame, own, source = np.nonzero(near[first : first + BATCH])
        edges = torch.from_numpy(np.stack([frame * atoms + source, frame * atoms + own]))
        points = torch.from_numpy(coords[first : first + BATCH].reshape(-1, 3).astype(np.float32)).requires_grad_(True)
        batches.append((torch.from_numpy(np.tile(z, len(points) // atoms)).long(), points, edges))
    start = time.perf_counter()
    for numbers, points, edges in batches:
        torch.autograd.grad(model(numbers, points, edges), points)
    return count / (time.perf_counter() - start)


def same(model, z, coords):
    start = time.perf_counter()
    for first in range(0, len(coords), BATCH):
        model.energies_and_forces(z, coords[first : first + BATCH])
    return len(coords) / (time.perf_counter() - start)


def program(binary, folder, workers, count):
    command = [binary, "run", "molecule", "--input", f"{folder}/aspirin.xyz", "--model", "rmd17", "--output", f"{folder}/e.parquet",
               "--workers", str(workers), "--json"]
    return count / json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["seconds"]


def main():
    binary, file = sys.argv[1], sys.argv[2]
    z, coords, *_ = load(Path(file))
    coords = np.asarray(coords)
    model, network = open_potential(ROOT / "models" / "rmd17.safetensors", "aspirin", torch.float32), PaiNN()
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/aspirin.xyz", "w") as out:
            for frame in coords:
                out.write(f"{len(z)}\nProperties=species:S:1:pos:R:3\n")
                out.writelines(f"{SYMBOLS[int(n)]} {x:.8f} {y:.8f} {q:.8f}\n" for n, (x, y, q) in zip(z, frame))
        ours = {1: [], 2: []}
        peers = {(threads, name): [] for threads in ours for name in ("same", "painn")}
        few = coords[:100]
        for _ in range(ROUNDS):
            for threads in ours:
                ours[threads].append(program(binary, folder, threads, len(coords)))
                torch.set_num_threads(threads)
                peers[threads, "same"].append(same(model, z, few))
                peers[threads, "painn"].append(painn(network, np.asarray(z), few))
    middle = lambda values: round(statistics.median(values), 1)
    figures = [{
        "case": f"aspirin, energies and forces, {threads} threads", "unit": "frames a second", "ours": middle(runs),
        "peers": {"the same model in PyTorch": middle(peers[threads, "same"]), "PaiNN in PyTorch": middle(peers[threads, "painn"])},
        "goal": 2000 if threads == 2 else None,
    } for threads, runs in ours.items()]
    cases.write("molecules", figures)


if __name__ == "__main__":
    main()
