"""Makes the model file of several trained members: one encoder and one head, each of as many branches, in one safetensors file.

    python training/pose/combine.py --data FOLDER --calibration RUNS/sigma.json --out models/pose.safetensors CHECKPOINT.pt...
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

sys.path.append(str(Path(__file__).resolve().parent.parent))  # after this folder: names such as `network` are in both

import data  # noqa: E402
from evaluate import load  # noqa: E402
from export import export  # noqa: E402
from familiar import mean_rows, places_of, rows_of, windows  # noqa: E402
from network import STRIDE, WINDOW, Encoder  # noqa: E402

ROW = Encoder().row.out_features
TRAINED_ON = ("MARS (An & Ogras, ACM TECS 20(5s) art. 72, 2021; MIT licence), people 2-4, the first 60 % of each movement "
              "in time; no frame of person 1")


class Encoders(nn.Module):
    """The members' rows side by side."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x, edge_index, batch):
        return torch.cat([member(x, edge_index, batch) for member in self.members], dim=1)


class Heads(nn.Module):
    """The mean of the members' outputs; the first linear layer of each looks at its own part of every row."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.count = len(members)
        with torch.no_grad():
            for m, member in enumerate(members):
                old = member.net[0]
                new = nn.Linear(WINDOW * len(members) * ROW, old.out_features)
                new.weight.zero_()
                new.weight.view(-1, WINDOW, len(members), ROW)[:, :, m] = old.weight.view(-1, WINDOW, ROW)
                new.bias.copy_(old.bias)
                member.net[0] = new

    def forward(self, x, edge_index):
        total = self.members[0](x, edge_index)
        for member in self.members[1:]:
            total = total + member(x, edge_index)
        return total * (1 / self.count)


def constants(rule):
    """What the program needs beyond the two networks; `README.md` says how it is used."""
    return {
        "window": WINDOW, "stride": STRIDE, "frames": STRIDE * (WINDOW - 1) + data.AGES, "ages": data.AGES,
        "metres_per_frame": round(float(data.METRES_PER_FRAME), 6), "k": data.K,
        "box": data.BOX.tolist(), "inputs": ["x", "y", "z", "doppler", "log1p_intensity", "age"],
        "offset": data.OFFSET.tolist(), "scale": data.SCALE.tolist(), "joints": data.JOINTS, "sigma": rule,
    }


def familiar(members, folder, cache):
    """The tensors that say what training windows look like."""
    frames = data.read(Path(folder) / "train_s234.npz")
    graphs = data.graphs_of(frames, cache and Path(cache) / "graphs.npz")
    rows = np.concatenate([rows_of(encoder, frames, graphs) for encoder, _ in members], axis=1)
    scale, places = places_of(mean_rows(rows, windows(frames, np.ones(len(frames), bool))))
    return {"familiar.scale": torch.from_numpy(scale), "familiar.places": torch.from_numpy(places)}


def write(members, path, rule, known):
    encoder, head = Encoders([e for e, _ in members]).eval(), Heads([h for _, h in members]).eval()
    tensors, metadata = dict(known), {"architecture": "pose", "version": 2}
    with tempfile.TemporaryDirectory() as folder:
        for name, module in (("encoder", encoder), ("head", head)):
            part = Path(folder) / f"{name}.safetensors"
            metadata[name] = export(module, part)
            with safe_open(part, "pt") as file:
                tensors |= {f"{name}.{key}": file.get_tensor(key) for key in file.keys()}
    metadata |= constants(rule) | {"licence": "MIT", "trained_on": TRAINED_ON}
    save_file(tensors, path, metadata={"thalweg": json.dumps(metadata, allow_nan=False)})
    return encoder, head


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache")
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("checkpoints", nargs="+")
    o = parser.parse_args()
    torch.set_num_threads(1)
    members = [load(path) for path in o.checkpoints]
    write(members, o.out, json.loads(Path(o.calibration).read_text()), familiar(members, o.data, o.cache))


if __name__ == "__main__":
    main()
