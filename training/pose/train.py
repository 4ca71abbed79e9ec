"""Trains one member of the pose network and writes its checkpoint; `combine.py` makes the model file of several.

    python training/pose/train.py --data FOLDER --out FOLDER --seed 1              # all of train_s234.npz
    python training/pose/train.py --data FOLDER --out FOLDER --seed 1 --fold p3    # person 3 kept out, and tested on
    python training/pose/train.py --data FOLDER --out FOLDER --seed 1 --plain      # a member that takes bodies as they are

Folds: `all`; `p2`, `p3`, `p4` a person kept out; `m1,7` movements kept out; `time` the last quarter of each recording kept out, and
the 30 frames before it. A run that was stopped goes on from its last epoch.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from augment import run_of, together
from data import graphs_of, read
from evaluate import errors_of, report, summary
from network import STRIDE, WINDOW, Encoder, Head, losses, outputs

RUN = 32  # frames that a run spans


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fold", default="all")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8, help="runs in a batch")
    parser.add_argument("--validate", action="store_true", help="print the figures on validate.npz at the end")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="bodies, places and directions as they are: overrides their variations")
    for name, value in (("rate", 3e-3), ("decay", 0.02), ("dropout", 0.3), ("mirror", 0.5), ("scale", 0.06), ("turn", 8.0),
                        ("shift", 0.04), ("drop_points", 0.3), ("doppler", 0.1), ("no_intensity", 0.1)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    o = parser.parse_args()
    if o.plain:
        o.mirror = o.scale = o.turn = o.shift = 0.0
        o.drop_points, o.doppler = 0.2, 0.05
    return o


def kept_out(frames, fold):
    """The frames to train on, and the frames to test on."""
    if fold == "all":
        return np.ones(len(frames), bool), np.zeros(len(frames), bool)
    if fold == "time":
        of = frames.subject * 100 + frames.movement
        length = np.bincount(of, minlength=500)[of]
        return frames.index < 0.75 * length - 30, frames.index >= 0.75 * length
    number = [int(part) for part in fold[1:].split(",")]
    out = np.isin(frames.subject if fold[0] == "p" else frames.movement, number)
    return ~out, out


def runs(keep, starts, rng):
    """Cuts the frames of each recording into runs that begin anew in each epoch; every second frame is in one."""
    rows = np.where(keep)[0]
    cuts = np.where((np.diff(rows) != 1) | (np.diff(starts[rows]) != 0))[0] + 1
    out = []
    for part in np.split(rows, cuts):
        first = part[0] + rng.integers(STRIDE)
        edges = [first, *range(first + STRIDE * rng.integers(3, RUN // STRIDE), part[-1] - 5, RUN), part[-1] + 1]
        out += [np.arange(lo, hi, STRIDE) for lo, hi in zip(edges, edges[1:])]
    rng.shuffle(out)
    return out


def main():
    o = options()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    rng = np.random.default_rng(o.seed)
    out = Path(o.out)
    out.mkdir(parents=True, exist_ok=True)
    frames = read(Path(o.data) / "train_s234.npz")
    graphs, starts = graphs_of(frames, out / "graphs.npz"), frames.starts()
    train, test = kept_out(frames, o.fold)
    encoder, head = Encoder(), Head(dropout=o.dropout, mean=torch.from_numpy(frames.joints[train].mean(0).reshape(-1)))
    both = torch.nn.ModuleDict({"encoder": encoder, "head": head})
    optimiser = torch.optim.AdamW(both.parameters(), o.rate, weight_decay=o.decay)
    steps, step, epoch = o.epochs * (len(runs(train, starts, rng)) // o.batch), 0, 0
    name = f"{o.fold}-plain-{o.seed}" if o.plain else f"{o.fold}-{o.seed}"
    resume = out / f"{name}.resume.pt"
    if resume.exists():
        saved = torch.load(resume, weights_only=False)
        both.load_state_dict(saved["both"])
        optimiser.load_state_dict(saved["optimiser"])
        rng.bit_generator.state = saved["rng"]
        torch.set_rng_state(saved["torch"])
        steps, step, epoch = saved["steps"], saved["step"], saved["epoch"]
    began = time.time()
    while epoch < o.epochs:
        order, total = runs(train, starts, rng), []
        for i in range(0, len(order) - o.batch + 1, o.batch):
            for group in optimiser.param_groups:
                group["lr"] = o.rate * min(1, step / 100) * max(0.0, 1 - step / (steps + 1)) ** 0.7
            batch = together([run_of(graphs, frames.joints, starts[r[0]], r, WINDOW, STRIDE, rng, o) for r in order[i:i + o.batch]])
            error, sigma = losses(outputs(encoder, head, batch), batch[-1])
            optimiser.zero_grad()
            (error + 0.3 * sigma).backward()
            torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
            optimiser.step()
            step += 1
            total.append(float(error.detach()))
        epoch += 1
        torch.save({"both": both.state_dict(), "optimiser": optimiser.state_dict(), "rng": rng.bit_generator.state,
                    "torch": torch.get_rng_state(), "steps": steps, "step": step, "epoch": epoch}, resume)
        print(f"{name} epoch {epoch}/{o.epochs} training MAE {100 * np.mean(total):.2f} cm {time.time() - began:.0f} s",
              flush=True)
    both.eval()
    torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "options": vars(o)}, out / f"{name}.pt")
    if test.any():
        print("kept out:", summary(*errors_of([(encoder, head)], frames, graphs, test)), flush=True)
    if o.validate:
        report([(encoder, head)], o.data, out)


if __name__ == "__main__":
    sys.exit(main())
