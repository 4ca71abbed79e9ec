"""Writes fitted potentials as the file that thalweg reads; `README.md` has the format."""

import json

import numpy as np
import torch
from safetensors.torch import save_file

from model import UNIT, Potential
from topology import Topology


def molecule(name, model, validation):
    """Description and tensors of one molecule."""
    topology = model.topology
    size = model.linear.shape[1] ** -0.5
    with torch.no_grad():
        weight = torch.cat([model.linear * size * UNIT, model.hidden * size], -1).double() * model.scale.double()[..., None]
        offset = -(model.mean.double()[:, None] @ weight)[:, 0]
        offset[:, 1:] += model.bias[:, 0]
        tensors = {
            "functions": model.whiten.transpose(1, 2),
            "mix": model.mix,
            "weight": weight.transpose(1, 2),
            "offset": offset,
            "out": model.out[..., 0] * UNIT,
        }
    described = {
        "name": name,
        "elements": topology.z.tolist(),
        "bonds": [[int(i), int(j)] for i, j in np.argwhere(topology.bonded) if i < j],
        "types": topology.types.tolist(),
        "labile": topology.labile,
        "classes": [[int(v) for v in key] for key in topology.keys],
        **sizes(model.settings),
        "shift": model.shift.item(),
        "atom_shift": [0.0] * len(topology.names),
        "error_energy": validation[0] / 1e3,
        "error_forces": validation[1] / 1e3,
    }
    return described, {f"{name}.{key}": value.float().contiguous() for key, value in tensors.items()}


def kernel_molecule(name, topology, state):
    """Description and tensors of one molecule that is a kernel regression."""
    described = {
        "name": name,
        "elements": topology.z.tolist(),
        "bonds": [[int(i), int(j)] for i, j in np.argwhere(topology.bonded) if i < j],
        "types": topology.types.tolist(),
        "symmetries": state["kernel"]["symmetries"].tolist(),
        "shift": float(state["shift"]),
        "error_energy": float(state["validation"][0]) / 1e3,
        "error_forces": float(state["validation"][1]) / 1e3,
    }
    tensors = {f"{name}.{key}": torch.from_numpy(state["kernel"][key]).float().contiguous() for key in ("frames", "coefficients", "weights")}
    return described, tensors


def sizes(settings):
    named = {"cutoff": "cutoff", "radial": "radial", "kept": "radial_kept", "channels": "channels", "hidden": "hidden"}
    return {name: settings[key] for name, key in named.items()}


def save(path, unit, molecules, **more):
    described, tensors = [], {}
    for each, values in molecules:
        described.append(each)
        tensors |= values
    description = {"architecture": "cluster-expansion", "version": 1, "unit": unit, "molecules": described} | more
    save_file(tensors, path, metadata={"thalweg": json.dumps(description, allow_nan=False)})


def write(path, data, work, names):
    """All molecules of `names` that are done."""
    from fit_rmd17 import load

    done = []
    for name in names:
        if not (work / f"{name}-done.pt").exists():
            continue
        state = torch.load(work / f"{name}-done.pt", weights_only=False)
        z, coords, _, _ = load(data / f"{name}_train01.npz")
        topology = Topology(z, coords[0], state["labile"])
        if "kernel" in state:
            done.append(kernel_molecule(name, topology, state))
            continue
        model = Potential(topology, state["settings"])
        model.load_state_dict(state["model"])
        done.append(molecule(name, model, state["validation"]))
    save(path, "eV", done, licence="CC0-1.0", trained_on="rMD17, split 01, 950 frames a molecule")
