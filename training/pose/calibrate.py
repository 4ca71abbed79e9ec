"""Fits the one factor of all sigmas on people that the networks have not seen, and says how well it holds from person to person.

    python training/pose/calibrate.py --data FOLDER --cache RUNS RUNS/p2-1.pt RUNS/p3-1.pt RUNS/p4-1.pt

Checkpoint `pN-*.pt` was trained without person N and is tested on person N's training frames. The factor of a person is the one by which
sigma covers 68.27 % of the errors of each axis; of two people, the same over both. A checkpoint `time-1.pt` adds the frames of known
people that `--fold time` keeps out.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from data import graphs_of, read
from evaluate import errors_of, load, summary, temperature_of
from train import kept_out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache")
    parser.add_argument("checkpoints", nargs="+")
    o = parser.parse_args()
    torch.set_num_threads(1)
    frames = read(Path(o.data) / "train_s234.npz")
    graphs = graphs_of(frames, o.cache and Path(o.cache) / "graphs.npz")
    found = {}
    for path in o.checkpoints:
        fold = Path(path).stem.split("-")[0]
        found[Path(path).stem] = errors_of([load(path)], frames, graphs, kept_out(frames, fold)[1])
        print(Path(path).stem, summary(*found[Path(path).stem]), f"factor {temperature_of(*found[Path(path).stem]):.3f}", flush=True)
    for name in found if len(found) > 1 else ():
        others = [value for other, value in found.items() if other != name]
        factor = temperature_of(*(np.concatenate(part) for part in zip(*others)))
        error, sigma = found[name]
        print(f"{name}: with the factor of the others, {factor:.3f}: {100 * (np.abs(error) <= factor * sigma[:, :, None]).mean():.1f} % within sigma")
    factor = temperature_of(*(np.concatenate(part) for part in zip(*found.values())))
    print(f"all: factor {factor:.3f}")


if __name__ == "__main__":
    main()
