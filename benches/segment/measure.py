"""Runs `thalweg run segment` and the same network in PyTorch in turn, and writes target/bench/segment.json.

PyTorch's time is the network's forward pass alone, on the pyramid that training/graph.py built beforehand: twice, with PyTorch
Geometric's PointNetConv, and with the training's own layer (numba). The program's time holds voxels, graphs and objects besides.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch_geometric.nn import PointNetConv

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "training")]
import cases  # noqa: E402
import data  # noqa: E402
import network  # noqa: E402
from graph import build_pyramid  # noqa: E402

ROUNDS, FRAMES = 3, 20


class WithPyG(torch.nn.Module):
    """A block's maximum by PyTorch Geometric's layer."""

    def __init__(self, block):
        super().__init__()
        channels = block.nbr.weight.shape[0]
        local = torch.nn.Linear(channels + 3, channels, bias=False)
        self.conv = PointNetConv(local_nn=local, add_self_loops=False)
        local.weight.data = torch.cat([block.nbr.weight.data, block.pos.weight.data], 1)
        self.block = block

    def forward(self, h, level, size):
        block = self.block
        messages = self.conv(h, level["positions"] / size, level["edges"])
        t = torch.relu(block.norm(block.root(h) + messages))
        return torch.relu(h + block.out_norm(block.out(t)))


def program(binary, folder, workers):
    """`total`, p50 and p99 in ms, and a stage's p50 each."""
    out = Path(folder) / "labels.parquet"
    command = [binary, "run", "segment", "--input", f"{folder}/drive", "--output", str(out), "--workers", str(workers), "--rate", "0.1", "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report["latency"]


def peer(model, levels):
    times = []
    with torch.no_grad():
        for frame in levels:
            start = time.perf_counter()
            model(frame)
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([binary, "simulate", "street", "--output", f"{folder}/drive", "--set", f"frames={FRAMES}"], check=True, capture_output=True)
        own, config = network.load(ROOT / "models" / "driving.safetensors")
        pyg, _ = network.load(ROOT / "models" / "driving.safetensors")
        with_intensity = pyg.sets[True]  # the simulated frames have intensity
        for blocks in (*with_intensity.encoder, *with_intensity.decoder):
            for b, block in enumerate(blocks):
                blocks[b] = WithPyG(block)
        prepared = []
        for frame in data.kitti_frames(folder, "sim")[::4]:
            levels = network.tensors(build_pyramid(frame.positions, frame.extras, config))
            for level in levels:
                lists = level["neighbours"].long()
                level["edges"] = torch.stack([lists.reshape(-1), torch.arange(len(lists)).repeat_interleave(lists.shape[1])])
            prepared.append(levels)
        peer(own, prepared[:1])  # compiles
        results = {1: [], 2: []}
        peers = {(threads, name): [] for threads in results for name in ("pyg", "numba")}
        for _ in range(ROUNDS):
            for threads in results:
                results[threads].append(program(binary, folder, threads))
                torch.set_num_threads(threads)
                for name, model in (("pyg", pyg), ("numba", own)):
                    peers[threads, name].append(peer(model, prepared))
    figures = []
    for threads, runs in results.items():
        middle = lambda stage, share: round(statistics.median(run[stage][share] for run in runs), 1)
        where = f"sim:street, {threads} threads"
        timed = {name: round(statistics.median(peers[threads, name]), 1) for name in ("pyg", "numba")}
        named = {"PyTorch, PyG's PointNetConv": timed["pyg"], "PyTorch, the training's layer": timed["numba"]}
        figures.append({"case": f"{where}, layers alone, p50", "unit": "ms", "ours": middle("layers", "p50"), "peers": named, "goal": None})
        for share in ("p50", "p99"):
            figures.append({"case": f"{where}, arrival to hand-over, {share}", "unit": "ms", "ours": middle("total", share), "peers": {},
                          "goal": 100 if threads == 2 and share == "p99" else None})
        print(threads, {stage: middle(stage, "p50") for stage in runs[0]})
    cases.write("segment", figures)


if __name__ == "__main__":
    main()
