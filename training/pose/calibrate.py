"""Fits the rule of sigma on people, and on blocks in time, that the networks have not seen, and says how well it holds for the next one.

    python training/pose/calibrate.py --data FOLDER --cache RUNS --out RUNS/sigma.json CHECKPOINT.pt...

Checkpoints `FOLD-*.pt` of one fold are one ensemble, in the order given; it is tested on the frames that the fold kept out: a person (`p2`), two
people (`p3,4`), or the ends of all recordings of people who were trained on (`time`). `near` and `far` are the 70 % and 90 % points of the
distances in the fold `time`; then a factor for each of the two groups, such that 68.27 % of the errors of each axis lie within sigma.

The network that is shipped had three people, those of the folds two or one. What a person costs who was not seen falls with the number of people
seen: the logarithm of the factor for unknown people is taken as a + b / people, and drawn on from one and two to three.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from data import graphs_of, read
from evaluate import load, summary
from familiar import answers, distances, factor, fit, mean_rows, places_of, rows_of, windows
from train import kept_out


def tested(paths, fold, frames, graphs):
    """|errors|, sigmas and distances of the frames kept out, and their movements."""
    members = [load(path) for path in paths]
    train, test = kept_out(frames, fold)
    rows = np.concatenate([rows_of(encoder, frames, graphs) for encoder, _ in members], axis=1)
    scale, places = places_of(mean_rows(rows, windows(frames, train)))
    held = windows(frames, test)
    out = answers(members, rows, held)
    error, sigma = out[:, :57].reshape(-1, 19, 3) - frames.joints[test], np.exp(out[:, 57:])
    print(fold, summary(error, sigma), flush=True)
    return np.abs(error), sigma, distances(mean_rows(rows, held), scale, places), frames.movement[test]


def covered(part, rule):
    error, sigma, distance = part[:3]
    return 100 * (error <= (sigma * factor(distance, rule)[:, None])[:, :, None]).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache")
    parser.add_argument("--out", required=True)
    parser.add_argument("checkpoints", nargs="+")
    o = parser.parse_args()
    torch.set_num_threads(1)
    frames = read(Path(o.data) / "train_s234.npz")
    graphs = graphs_of(frames, o.cache and Path(o.cache) / "graphs.npz")
    groups = {}
    for path in o.checkpoints:
        groups.setdefault(Path(path).stem.split("-")[0], []).append(path)
    found = {fold: tested(paths, fold, frames, graphs) for fold, paths in groups.items()}
    of_time = found.pop("time")
    of_one = {fold: part for fold, part in found.items() if "," in fold}
    found = {fold: part for fold, part in found.items() if fold not in of_one}
    near, far = (float(v) for v in np.quantile(of_time[2], [0.7, 0.9]))
    for fold, part in found.items():
        rule = fit([of_time[:3]], [other[:3] for name, other in found.items() if name != fold], near, far)
        print(f"{fold}, fitted without it: {covered(part, rule):.1f} % within sigma", flush=True)
    for odd in (0, 1):
        here = of_time[3] % 2 == odd
        halves = [tuple(values[part] for values in of_time[:3]) for part in (~here, here)]
        rule = fit(halves[:1], [other[:3] for other in found.values()], near, far)
        print(f"time, {'odd' if odd else 'even'} movements, fitted without them: {covered(halves[1], rule):.1f} % within sigma", flush=True)
    rule = fit([of_time[:3]], [part[:3] for part in found.values()], near, far)
    if of_one:
        one = fit([of_time[:3]], [part[:3] for part in of_one.values()], near, far)
        print("unknown, of networks with one person and with two:", one["unknown"], rule["unknown"])
        rule["unknown"] *= (rule["unknown"] / one["unknown"]) ** (1 / 3)
    print("all:", rule, " ".join(f"{fold} {covered(part, rule):.1f} %" for fold, part in {"time": of_time, **found}.items()))
    Path(o.out).write_text(json.dumps(rule) + "\n")


if __name__ == "__main__":
    main()
