"""Times runs with checkpoints, in `serve`, and of two processes, each in turn with the same run without them.

- `segment` and `knn` of a map over `sim:street`, with a checkpoint every 10 s or none, into a folder of segments.
- The same in `thalweg serve`, both into a folder with checkpoints.
- `risk` over `sim:town`, a table a day, and `gnn` with three layers of 64 and of 256 channels, 24 tables: one process of one worker, and two.

Wall times of whole processes. `ours` is the median over rounds of what the plain run takes over what the other takes, in per cent; of
two processes the ratio.
"""

import argparse
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "training"), str(ROOT / "benches")]
from cases import write  # noqa: E402
from export import export  # noqa: E402

STREET = ["--input", "sim:street", "--set"]
RUNS = {
    "segment": ["segment", *STREET, "frames={frames}"],
    "knn on a map, changes": ["knn", *STREET, "frames={more}", "--set", "nodes=map", "--set", "emit=changes"],
}
CONFIG = """
[serve]
listen = "127.0.0.1:0"

[[pipeline]]
name = "one"
pipeline = "{pipeline}"
input = "sim:street"
output = "{output}/"
checkpoint = "{output}.ck"
set = {{ {keys} }}
"""


class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        from torch_geometric.nn import SAGEConv

        self.one, self.two, self.three = SAGEConv(8, width), SAGEConv(width, width), SAGEConv(width, 4)

    def forward(self, x, edge_index):
        x = torch.relu(self.one(x, edge_index))
        return self.three(torch.relu(self.two(x, edge_index)), edge_index)


def graph(work, edges):
    """Tables of edges over a day and of nodes, and two networks."""
    chosen, nodes = random.Random(1), edges // 10
    with open(work / "edges.csv", "w") as file:
        file.write("t,src,dst\n")
        file.writelines(f"{86400 * n // edges},n{chosen.randrange(nodes)},n{chosen.randrange(nodes)}\n" for n in range(edges))
    with open(work / "nodes.csv", "w") as file:
        file.write("t,node," + ",".join("abcdefgh") + "\n")
        file.writelines(f"0,n{n}," + ",".join(f"{chosen.uniform(-1, 1):.3f}" for _ in range(8)) + "\n" for n in range(nodes))
    torch.manual_seed(1)
    for width in (64, 256):
        export(Net(width), work / f"{width}.safetensors")


def clear(work, name):
    for path in work.glob(f"{name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(program, work, words, output, more=()):
    """Seconds of one run."""
    clear(work, output.rstrip("/").split(".")[0])
    begin = time.perf_counter()
    subprocess.run([program, "run", *words, "--output", output, *more], cwd=work, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def serve(program, work, words):
    """Seconds of one run in a service, from its start until all is published; a service goes on, so it is asked."""
    clear(work, "served")
    keys = [word.split("=") for word in words if "=" in word]
    quoted = ", ".join(f"{key} = {value if value.isdigit() else repr(value)}" for key, value in keys).replace("'", '"')
    (work / "serve.toml").write_text(CONFIG.format(pipeline=words[0], output="served", keys=quoted))
    begin = time.perf_counter()
    service = subprocess.Popen([program, "serve", "serve.toml"], cwd=work, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in service.stderr if "address=" in line)
        url = "http://" + line.split("address=")[1].split()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            with opener.open(url + "/status", timeout=30) as answer:
                if json.load(answer)["pipelines"][0]["status"] == "done":
                    return time.perf_counter() - begin
            if service.poll() is not None:
                raise SystemExit("serve ended early")
            time.sleep(0.02)
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=150, help="of segment; a map has five times as many")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--edges", type=int, default=600_000)
    given = parser.parse_args()
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, words in RUNS.items():
            words = [word.format(frames=given.frames, more=5 * given.frames) for word in words]
            shares = {"a checkpoint every 10 s": [], "serve, with checkpoints": []}
            for _ in range(given.rounds):
                plain = run(given.program, work, words, "plain/")
                kept = run(given.program, work, words, "kept/", ["--checkpoint", "kept.ck"])
                served = serve(given.program, work, words)
                print(f"{name}: plain {plain:.2f} s, with checkpoints {kept:.2f} s, served {served:.2f} s", flush=True)
                shares["a checkpoint every 10 s"].append(100 * plain / kept)
                shares["serve, with checkpoints"].append(100 * kept / served)
            for (what, share), (peer, goal) in zip(shares.items(), [("run without", 97), ("run", 90)]):
                cases.append({
                    "case": f"{name}, one worker: {what}",
                    "unit": "% of the speed",
                    "ours": round(statistics.median(share), 1),
                    "peers": {peer: 100.0},
                    "goal": goal,
                })
        graph(work, given.edges)
        gnn = ["gnn", "--edges", "edges.csv", "--nodes", "nodes.csv", "--every", "3600", "--model"]
        twice = {
            "risk, a table a day": ["risk", "--input", "sim:town", "--set", f"people={given.people}", "--every", "86400"],
            "gnn of 64 channels, a table an hour": [*gnn, "64.safetensors"],
            "gnn of 256 channels, a table an hour": [*gnn, "256.safetensors"],
        }
        for name, words in twice.items():
            ratios = []
            for _ in range(given.rounds):
                times = [run(given.program, work, words, f"{n}.parquet", ["--processes", n]) for n in ("1", "2")]
                assert (work / "1.parquet").read_bytes() == (work / "2.parquet").read_bytes()
                print(f"{name}: one process {times[0]:.2f} s, two {times[1]:.2f} s", flush=True)
                ratios.append(times[0] / times[1])
            cases.append({
                "case": f"{name}: two processes of one worker",
                "unit": "times",
                "ours": round(statistics.median(ratios), 2),
                "peers": {"one process": 1.0},
                "goal": 1.6,
            })
    write("durability", cases)


if __name__ == "__main__":
    main()
