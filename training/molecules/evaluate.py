"""Mean absolute errors of `rmd17.safetensors` on the frames kept aside, and frames a second of the same model in PyTorch.

    python training/molecules/evaluate.py --data ../shared/data/molecules/rmd17 [--speed]
"""

import argparse
import json
import pathlib
import time

import torch
from safetensors import safe_open

from fit_rmd17 import load
from potential import open_potential


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/rmd17.safetensors"))
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="nothing is drawn")
    parser.add_argument("--speed", action="store_true", help="time f32 evaluation, one frame and fifty at once")
    given = parser.parse_args()
    with safe_open(given.model, "pt") as file:
        names = [m["name"] for m in json.loads(file.metadata()["thalweg"])["molecules"]]
    for name in names:
        z, coords, energies, forces = load(given.data / f"{name}_test01.npz")
        if given.speed:
            model = open_potential(given.model, name, torch.float32)
            for batch in (1, 50):
                model.energies_and_forces(z, coords[:batch])
                begin, rounds = time.process_time(), max(1, 100 // batch)
                for _ in range(rounds):
                    model.energies_and_forces(z, coords[:batch])
                print(f"{name}: {batch * rounds / (time.process_time() - begin):.0f} frames a second of processor time, {batch} at once")
            continue
        model, sums = open_potential(given.model, name), [0.0, 0.0]
        for s in range(0, given.frames, 50):
            e, f = model.energies_and_forces(z, coords[s : s + 50])
            sums[0] += (e - torch.from_numpy(energies[s : s + 50])).abs().sum().item()
            sums[1] += (f - torch.from_numpy(forces[s : s + 50])).abs().mean((1, 2)).sum().item()
        print(f"{name}: energies {1e3 * sums[0] / given.frames:.2f} meV, forces {1e3 * sums[1] / given.frames:.2f} meV/A", flush=True)


if __name__ == "__main__":
    main()
