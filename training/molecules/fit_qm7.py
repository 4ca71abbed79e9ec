"""Fits atomisation energies of QM7 and writes `qm7.safetensors`.

    python training/molecules/fit_qm7.py --data ../shared/data/molecules/qm7

An atom's energy is linear in its invariants plus hidden units with random weights; what is fitted, by one least squares, is the
linear part, the outputs of the hidden units and an energy an element. Five folds of molecules, sorted by energy and dealt out in
blocks of five, give the figures; the file is fitted to all.
"""

import argparse
import pathlib
import time

import numpy as np
import scipy.linalg
import torch

from elements import Describer, edges
from export import save, sizes
from model import Terms

ELEMENTS = [1, 6, 7, 8, 16]
SETTINGS = {"cutoff": 5.0, "radial": 10, "radial_kept": 6, "channels": 16, "hidden": 256, "damping": 0.1, "smooth": 2.0, "spread": 0.3}
RIDGES = {"linear": 10.0, "hidden": 10.0, "element": 1e-6}


def folds(energies, seed):
    """The fold of each molecule."""
    rng, fold = np.random.default_rng(seed), np.empty(len(energies), int)
    order = np.argsort(energies, kind="stable")
    for s in range(0, len(order), 5):
        block = order[s : s + 5]
        fold[block] = rng.permutation(5)[: len(block)]
    return fold


def standardise(kind, b, used):
    """Mean and 1 / deviation `[T, W]` of each element's invariants over the atoms `used`."""
    mean, scale = torch.zeros(len(ELEMENTS), b.shape[1]).double(), torch.ones(len(ELEMENTS), b.shape[1]).double()
    for t in range(len(ELEMENTS)):
        seen = b[torch.from_numpy((kind == t) & used)].double()
        mean[t], scale[t] = seen.mean(0), 1 / (seen.std(0) + 1e-6)
    return mean, scale


def columns(kind, b, molecule, count, mean, scale, hidden, bias):
    """Sums over the atoms of each molecule, by element: counts, invariants, hidden units."""
    t, width, h = len(ELEMENTS), b.shape[1], hidden.shape[2]
    rows = np.zeros((count, t + t * width + t * h))
    for each in range(t):
        at = np.flatnonzero(kind == each)
        scaled = ((b[at].double() - mean[each]) * scale[each]).float()
        unit = torch.nn.functional.silu(scaled @ hidden[each] + bias[each])
        sums = torch.zeros(count, 1 + width + h, dtype=torch.float64)
        sums.index_add_(0, torch.from_numpy(molecule[at]), torch.cat([torch.ones(len(at), 1), scaled, unit], 1).double())
        rows[:, each] = sums[:, 0]
        rows[:, t + each * width : t + (each + 1) * width] = sums[:, 1 : 1 + width]
        rows[:, t + t * width + each * h : t + t * width + (each + 1) * h] = sums[:, 1 + width :]
    return rows


def solve(rows, energies, width, h, ridges=RIDGES):
    t = len(ELEMENTS)
    penalty = np.repeat([ridges["element"], ridges["linear"], ridges["hidden"]], [t, t * width, t * h])
    gram = rows.T @ rows
    gram[np.diag_indices(len(gram))] += penalty
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, overwrite_a=True), rows.T @ energies)


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("models/qm7.safetensors"))
    given, begin = parser.parse_args(), time.time()
    raw = np.load(given.data / "qm7.npz")
    offsets, z, coords, energies = raw["offsets"], raw["z"], raw["coords"].astype(float), raw["e_pbe0"].astype(float)
    count, molecule = len(energies), np.repeat(np.arange(len(energies)), np.diff(offsets))
    src, dst, vectors = edges(offsets, coords, SETTINGS["cutoff"])
    describer = Describer(ELEMENTS, SETTINGS, given.seed)
    describer.fit(z, src, dst, vectors)
    kind, b = describer(z, src, dst, vectors, Terms())
    print(f"{count} molecules, {len(z)} atoms, {b.shape[1]} invariants an atom, {time.time() - begin:.0f} s", flush=True)
    generator, h = torch.Generator().manual_seed(given.seed), SETTINGS["hidden"]
    hidden = torch.randn(len(ELEMENTS), b.shape[1], h, generator=generator) / b.shape[1] ** 0.5
    bias = torch.randn(len(ELEMENTS), h, generator=generator)
    fold, errors = folds(energies, given.seed), np.empty(count)
    for held in [0, 1, 2, 3, 4, None]:
        used = fold != held if held is not None else np.ones(count, bool)
        mean, scale = standardise(kind, b, used[molecule])
        rows = columns(kind, b, molecule, count, mean, scale, hidden, bias)
        found = solve(rows[used], energies[used], b.shape[1], h)
        if held is not None:
            errors[~used] = np.abs(rows[~used] @ found - energies[~used])
            print(f"fold {held}: MAE {errors[~used].mean():.3f} kcal/mol, RMSE {(errors[~used] ** 2).mean() ** 0.5:.3f}, {time.time() - begin:.0f} s", flush=True)
    print(f"all folds: MAE {errors.mean():.3f} kcal/mol, RMSE {(errors ** 2).mean() ** 0.5:.3f}", flush=True)
    export(given.output, describer, mean, scale, hidden, bias, found, errors.mean())


def export(path, describer, mean, scale, hidden, bias, found, error):
    t, width, h = len(ELEMENTS), hidden.shape[1], hidden.shape[2]
    element, linear, out = (torch.from_numpy(part) for part in np.split(found, [t, t + t * width]))
    weight = torch.cat([linear.view(t, width, 1), hidden.double()], -1) * scale[..., None]
    offset = -(mean[:, None] @ weight)[:, 0]
    offset[:, 1:] += bias
    described = {
        "name": "qm7", "elements": ELEMENTS, "bonds": None, "classes": [[i, j, 0] for i in range(t) for j in range(t)],
        **sizes(SETTINGS), "shift": 0.0, "atom_shift": element.tolist(), "error_energy": error, "error_forces": None,
    }
    tensors = {"functions": describer.functions, "mix": describer.mix, "weight": weight.transpose(1, 2), "offset": offset, "out": out.view(t, h)}
    tensors = {f"qm7.{key}": value.float().contiguous() for key, value in tensors.items()}
    save(path, "kcal/mol", [(described, tensors)], licence="MIT", trained_on="QM7, 5,681 molecules")


if __name__ == "__main__":
    main()
