"""Writes `molecules.json` and `kernel.json`: small potentials of both forms with random weights, a made-up ethanol with noise, and
its energy and forces in f64.

    python training/molecules/fixtures.py --output tests/fixtures/molecules
"""

import argparse
import json
import pathlib

import numpy as np
import torch

import local_kernel
from export import kernel_molecule, molecule, save
from model import Potential
from potential import FilePotential, KernelPotential
from topology import Topology

SETTINGS = {"cutoff": 4.0, "radial": 6, "radial_kept": 3, "channels": 8, "hidden": 4, "damping": 0.1, "smooth": 2.0, "decay": 0.5}
ELEMENTS = np.array([6, 6, 8, 1, 1, 1, 1, 1, 1])
# Carbons and oxygen in a plane, hydrogens about where a drawing has them; angstrom.
ETHANOL = np.array([
    [0.0, 0.0, 0.0], [1.52, 0.0, 0.0], [2.0, 1.34, 0.0], [-0.38, 1.02, 0.0], [-0.38, -0.51, 0.89], [-0.38, -0.51, -0.89],
    [1.9, -0.53, 0.88], [1.9, -0.53, -0.88], [2.96, 1.31, 0.05],
])


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    frames = ETHANOL + rng.normal(0, 0.05, (20, *ETHANOL.shape))
    model = Potential(Topology(ELEMENTS, ETHANOL, False), SETTINGS)
    coords = torch.from_numpy(frames)
    model.fit_whitening(coords)
    model.fit_decay(coords)
    model.fit_scale(model.geometry(coords), np.arange(20))
    with torch.no_grad():
        model.linear.normal_()
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "ethanol.safetensors"
    save(path, "eV", [molecule("ethanol", model, (1.0, 1.0))])
    record(given.output / "molecules.json", FilePotential(path, "ethanol"), frames[:2])
    path, topology = given.output / "ethanol-kernel.safetensors", Topology(ELEMENTS, ETHANOL, False)
    kernel = {
        "frames": frames[2:12],
        "coefficients": rng.normal(0, 1, frames[2:12].shape),
        "weights": local_kernel.weights(topology.bonded, 2, 0.5, 1.0),
        "symmetries": local_kernel.symmetries(ELEMENTS, topology.bonded),
    }
    save(path, "eV", [kernel_molecule("ethanol", topology, {"kernel": kernel, "shift": -1.5, "validation": (1.0, 1.0)})])
    record(given.output / "kernel.json", KernelPotential(path, "ethanol"), frames[:2])


def record(path, potential, frames):
    energies, forces = potential.energies_and_forces(ELEMENTS, frames)
    record = {"elements": ELEMENTS.tolist(), "positions": frames.tolist(), "energies": energies.tolist(), "forces": forces.tolist()}
    path.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
