"""Keeps `thalweg serve` busy with `segment`, `knn` of a map, `risk` and `gnn`, and writes down how it does.

`segment` and `knn` read a simulated drive as fast as they can. `risk` and `gnn` follow tables that this script makes longer, at most
so far ahead that a hundred thousand rows wait. Every five seconds it asks `/status`, and looks at the memory of the process, at the
folders of checkpoints and at those of output. It ends with SIGTERM, then reads an output back. A run has passed if the mean
memory of its last third is at most a tenth above that of its second, nothing was started again, and the output reads back whole. Three
checkpoints are kept, of one to two kB each: inputs that can be read again are no part of them.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "training")]
from export import export  # noqa: E402

EVERY, AHEAD, PEOPLE = 5.0, 100_000, 5_000
CONFIG = """
[serve]
listen = "127.0.0.1:0"

[[pipeline]]
name = "segment"
pipeline = "segment"
input = "sim:street"
output = "segment/"
checkpoint = "segment.ck"
set = {{ frames = 1000000 }}

[[pipeline]]
name = "map"
pipeline = "knn"
input = "sim:street"
output = "map/"
checkpoint = "map.ck"
set = {{ frames = 1000000, nodes = "map", emit = "changes" }}

[[pipeline]]
name = "risk"
pipeline = "risk"
contacts = "contacts.csv"
follow = true
every = 3600
model = "tracing"
output = "risk/"
checkpoint = "risk.ck"
set = {{ rate = 1e-4, emit = "changes", window = 86400 }}

[[pipeline]]
name = "gnn"
pipeline = "gnn"
edges = "edges.csv"
model = "network.safetensors"
follow = true
every = 3600
output = "gnn/"
checkpoint = "gnn.ck"
set = {{ emit = "changes", window = 86400 }}
"""


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        from torch_geometric.nn import SAGEConv

        self.one, self.two = SAGEConv(4, 16), SAGEConv(16, 2)

    def forward(self, x, edge_index):
        return self.two(torch.relu(self.one(x, edge_index)), edge_index)


class Table:
    """A CSV file that grows by rows of contacts, 20 s apart in slots of a hundred."""

    def __init__(self, path, head, seed):
        self.file, self.rows, self.state = open(path, "w", buffering=1 << 16), 0, seed
        self.file.write(head)

    def grow(self, rows):
        lines = []
        for _ in range(rows):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            i, j = (self.state >> 33) % PEOPLE, (self.state >> 13) % PEOPLE
            lines.append(f"{20 * (self.rows // 100)},p{i},p{j}\n")
            self.rows += 1
        self.file.writelines(lines)
        self.file.flush()


def folder_bytes(folder):
    files = (path for path in folder.glob("**/*"))
    return sum(path.stat().st_size for path in files if path.is_file()) if folder.exists() else 0


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024


def status(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + "/status", timeout=30) as answer:
        return json.load(answer)


def soak(program, work, minutes):
    """Samples of one run, and the exit code of the service."""
    torch.manual_seed(1)
    export(Net(), work / "network.safetensors")
    tables = {"risk": Table(work / "contacts.csv", "t,i,j\n", 1), "gnn": Table(work / "edges.csv", "t,src,dst\n", 2)}
    (work / "serve.toml").write_text(CONFIG.format())
    log = open(work / "log", "w")
    service = subprocess.Popen([program, "serve", "serve.toml"], cwd=work, stderr=log)
    while "address=" not in (said := (work / "log").read_text()):
        time.sleep(0.1)
    url = "http://" + said.split("address=")[1].split()[0]
    samples, begin = [], time.time()
    while time.time() - begin < 60 * minutes and service.poll() is None:
        now = status(url)
        for figures in now["pipelines"]:
            table = tables.get(figures["name"])
            if table and table.rows - figures["read"] < AHEAD:
                table.grow(AHEAD // 2)
        samples.append({
            "seconds": time.time() - begin,
            "resident": resident(service.pid),
            "pipelines": {
                p["name"]: {
                    "read": p["read"], "rows": p["rows"], "queue": p["in_flight"], "lag": p["lag_seconds"], "status": p["status"],
                    "p50": p["latency"].get("total", {}).get("p50"), "p99": p["latency"].get("total", {}).get("p99"),
                    "checkpoint": (p["checkpoint"] or {}).get("bytes"),
                    "kept": folder_bytes(work / f"{p['name']}.ck"), "output": folder_bytes(work / p["name"]),
                    "restarts": p["restarts"],
                }
                for p in now["pipelines"]
            },
        })
        time.sleep(EVERY)
    service.send_signal(signal.SIGTERM)
    return samples, service.wait(timeout=120)


def plot(samples, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    minutes = [s["seconds"] / 60 for s in samples]
    names = list(samples[0]["pipelines"])
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), sharex=True, layout="constrained")
    axes[0, 0].plot(minutes, [s["resident"] / 1e6 for s in samples], color="black")
    axes[0, 0].set(ylabel="resident memory (MB)", ylim=(0, None))
    for name in names:
        of = lambda key, name=name: [s["pipelines"][name][key] for s in samples]
        read = of("read")
        axes[0, 1].plot(minutes, [r / max(read[-1], 1) for r in read], label=f"{name}: {read[-1]:,}")
        axes[1, 0].plot(minutes, of("p99"), label=name)
        axes[1, 1].plot(minutes, [b / 1e3 for b in of("kept")], label=name)
    axes[0, 1].set(ylabel="read, as a share of all")
    axes[1, 0].set(ylabel="arrival to output, p99 (ms)", yscale="log", xlabel="minutes")
    axes[1, 1].set(ylabel="checkpoints on disk (kB)", xlabel="minutes", yscale="log")
    for axis in axes.flat[1:]:
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--plot", type=Path, help="a PNG file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        samples, code = soak(str(Path(options.program).resolve()), work, options.minutes)
        read = subprocess.run([options.program, "read", str(work / "risk"), "--output", str(work / "risk.parquet")], check=False)
        said = (work / "log").read_text()
    last, third = samples[-1], len(samples) // 3
    cases = [{"case": "soak: exit code", "unit": "", "ours": code, "peers": {}, "goal": 0},
             {"case": "soak: exit code of `read` afterwards", "unit": "", "ours": read.returncode, "peers": {}, "goal": 0}]
    mean = lambda part: sum(s["resident"] for s in part) / len(part)
    growth = mean(samples[2 * third :]) / mean(samples[third : 2 * third])
    cases.append({"case": "soak: memory of the last third over that of the second", "unit": "", "ours": growth, "peers": {}, "goal": 1.1})
    for name, p in last["pipelines"].items():
        of = [s["pipelines"][name] for s in samples]
        cases.append({"case": f"soak: {name}, records a second", "unit": "1/s", "ours": p["read"] / last["seconds"], "peers": {}, "goal": None})
        cases.append({"case": f"soak: {name}, longest queue", "unit": "epochs", "ours": max(o["queue"] for o in of), "peers": {}, "goal": None})
        cases.append({"case": f"soak: {name}, p99", "unit": "ms", "ours": p["p99"], "peers": {}, "goal": None})
        cases.append({"case": f"soak: {name}, checkpoints on disk over the newest", "unit": "",
                      "ours": p["kept"] / max(p["checkpoint"] or 1, 1), "peers": {}, "goal": None})
        cases.append({"case": f"soak: {name}, restarts", "unit": "", "ours": p["restarts"], "peers": {}, "goal": 0})
    out = ROOT / "target" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_text(json.dumps(cases, indent=1))
    (out / "soak-samples.json").write_text(json.dumps(samples))
    plot(samples, options.plot or out / "soak.png")
    for case in cases:
        print(f"{case['case']}: {case['ours']} {case['unit']}")
    warnings = [line for line in said.splitlines() if "WARN" in line or "ERROR" in line]
    print("\n".join(warnings[:20]))


if __name__ == "__main__":
    main()
