"""Measures trained members, as one ensemble, on labelled frames: MAE, MPJPE, PCK, each joint, and how well sigma fits.

    python training/pose/evaluate.py --data FOLDER --cache RUNS --calibration RUNS/sigma.json CHECKPOINT.pt...

Each recording of `validate.npz` begins cold: no frame before its first is used.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from augment import run_of, together
from data import JOINTS, graphs_of, read
from familiar import distances, factor, mean_rows, places_of, rows_of, windows
from network import STRIDE, WINDOW, Encoder, Head, outputs


def load(path):
    saved = torch.load(path, weights_only=False)
    encoder, head = Encoder(), Head()
    encoder.load_state_dict(saved["encoder"])
    head.load_state_dict(saved["head"])
    return encoder.eval(), head.eval()


def predict(members, frames, graphs, keep):
    """`[n, 76]` for the frames where `keep` is true: the mean over the members (log sigma too)."""
    rows, starts = np.where(keep)[0], frames.starts()
    cuts = np.where((np.diff(rows) != 1) | (np.diff(starts[rows]) != 0))[0] + 1
    out = []
    with torch.no_grad():
        for part in np.split(rows, cuts):
            batch = together([run_of(graphs, frames.joints, part[0], part, WINDOW, STRIDE)])
            out.append(sum(outputs(*member, batch) for member in members) / len(members))
    return torch.cat(out).numpy()


def errors_of(members, frames, graphs, keep):
    """Signed errors `[n, 19, 3]` and sigmas `[n, 19]`, in m."""
    out = predict([(e.eval(), h.eval()) for e, h in members], frames, graphs, keep)
    return out[:, :57].reshape(-1, 19, 3) - frames.joints[keep], np.exp(out[:, 57:])


def summary(error, sigma):
    distance = np.sqrt((error**2).sum(-1))
    axes = 100 * np.abs(error).mean((0, 1))
    covered = (np.abs(error) <= sigma[:, :, None]).mean()
    return (f"MAE {100 * np.abs(error).mean():.2f} cm (x {axes[0]:.2f} y {axes[1]:.2f} z {axes[2]:.2f}) MPJPE "
            f"{100 * distance.mean():.2f} cm PCK@10cm {100 * (distance < 0.1).mean():.1f} % PCK@20cm "
            f"{100 * (distance < 0.2).mean():.1f} % within sigma {100 * covered:.1f} %")


def factors(members, folder, cache, path, frames, graphs):
    """The factor of sigma of each of `frames` by the rule in the file `path`; the places are those of all training frames."""
    known = read(Path(folder) / "train_s234.npz")
    of_known = graphs_of(known, cache and Path(cache) / "graphs.npz")
    rows, held = [np.concatenate([rows_of(encoder, *of) for encoder, _ in members], axis=1) for of in ((known, of_known), (frames, graphs))]
    places = places_of(mean_rows(rows, windows(known, np.ones(len(known), bool))))
    means = mean_rows(held, windows(frames, np.ones(len(frames), bool)))
    return factor(distances(means, *places), json.loads(Path(path).read_text()))


def report(members, folder, cache=None, calibration=None):
    """Prints the figures on `validate.npz`; returns errors, sigmas and frames."""
    frames = read(Path(folder) / "validate.npz")
    graphs = graphs_of(frames, cache and Path(cache) / "validate-graphs.npz")
    error, sigma = errors_of(members, frames, graphs, np.ones(len(frames), bool))
    if calibration is not None:
        sigma = sigma * factors(members, folder, cache, calibration, frames, graphs)[:, None]
    for name, of in (("people 2-4", frames.subject != 1), *((f"person {p}", frames.subject == p) for p in (1, 2, 3, 4))):
        print(f"{name}: {of.sum()} frames, {summary(error[of], sigma[of])}", flush=True)
    return error, sigma, frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache")
    parser.add_argument("--calibration", help="the rule of calibrate.py; without it sigmas are as the network gives them")
    parser.add_argument("checkpoints", nargs="+")
    o = parser.parse_args()
    torch.set_num_threads(1)
    error, _, frames = report([load(path) for path in o.checkpoints], o.data, o.cache, o.calibration)
    for m in range(1, 11):
        parts = [100 * np.abs(error[(frames.movement == m) & p]).mean() for p in (frames.subject != 1, frames.subject == 1)]
        print(f"movement {m}: MAE {parts[0]:.2f} and {parts[1]:.2f} cm")
    for j, name in enumerate(JOINTS):
        parts = [100 * np.abs(error[p, j]).mean() for p in (frames.subject != 1, frames.subject == 1)]
        print(f"{name}: MAE {parts[0]:.2f} and {parts[1]:.2f} cm")


if __name__ == "__main__":
    main()
