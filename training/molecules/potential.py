"""Reads `rmd17.safetensors` or `qm7.safetensors` and evaluates it in PyTorch, forces by autograd: what thalweg is tested against."""

import json

import numpy as np
import torch
from safetensors import safe_open

from basis import OF_L, harmonics, radial
from model import Terms
from topology import bonds, colours, hops


class KernelPotential:
    """A kernel regression of a file, for frames whose atoms have the file's order."""

    def __init__(self, path, name, dtype=torch.float64):
        with safe_open(path, "pt") as file:
            described = json.loads(file.metadata()["thalweg"])["molecules"]
            frames, coefficients, self.weights = (file.get_tensor(f"{name}.{key}").to(dtype) for key in ("frames", "coefficients", "weights"))
        self.molecule, self.dtype = next(m for m in described if m["name"] == name), dtype
        images = [(frames[:, s], coefficients[:, s]) for s in self.molecule["symmetries"]]
        x, sides = zip(*[torch.func.jvp(self.inverse, (frame,), (change,)) for frame, change in images])
        self.x, self.sides = torch.cat(x), torch.cat(sides)

    @staticmethod
    def inverse(coords):
        a, b = torch.triu_indices(coords.shape[1], coords.shape[1], 1)
        return 1 / (coords[:, a] - coords[:, b]).norm(dim=-1)

    def energies_and_forces(self, z, coords):
        """`[F]` and `[F, A, 3]` of frames `[F, A, 3]`."""
        coords = torch.as_tensor(coords).to(self.dtype).requires_grad_(True)
        difference = self.inverse(coords)[:, None] - self.x
        k = 1 / (1 + (difference**2) @ self.weights.T)
        energy = (-2 * k**2 * ((difference * self.sides) @ self.weights.T)).sum((1, 2))
        forces = -torch.autograd.grad(energy.sum(), coords)[0]
        return energy.detach().double() + self.molecule["shift"], forces.detach().double()


def open_potential(path, name, dtype=torch.float64):
    """The potential of that name in a file."""
    with safe_open(path, "pt") as file:
        described = json.loads(file.metadata()["thalweg"])["molecules"]
    kernel = any(m["name"] == name and "symmetries" in m for m in described)
    return (KernelPotential if kernel else FilePotential)(path, name, dtype)


class FilePotential:
    """One set of weights of a file. `dtype` is that of the evaluation."""

    def __init__(self, path, name, dtype=torch.float64):
        with safe_open(path, "pt") as file:
            self.description = json.loads(file.metadata()["thalweg"])
            self.weights = {key: file.get_tensor(f"{name}.{key}").to(dtype) for key in ("functions", "mix", "weight", "offset", "out")}
        self.molecule = next(m for m in self.description["molecules"] if m["name"] == name)
        self.dtype, terms = dtype, Terms()
        first, c1, second, c2 = terms.exact
        self.rows, self.count = int(second[:, 1:].max()) + 1, terms.count
        self.first = [torch.from_numpy(first[:, n]) for n in range(3)] + [torch.from_numpy(c1).to(dtype)]
        self.second = [torch.from_numpy(second[:, n]) for n in range(3)] + [torch.from_numpy(c2).to(dtype)]

    def types(self, z, coords):
        """Types `[A]` and classes `[A, A]`, -1 where there is none."""
        known = {tuple(key): n for n, key in enumerate(self.molecule["classes"])}
        if self.molecule["bonds"] is None:
            types, between = [self.molecule["elements"].index(int(v)) for v in z], np.zeros((len(z), len(z)), int)
        else:
            bonded = bonds(z, coords, self.molecule["labile"])
            reference = np.zeros((len(z), len(z)), bool)
            for i, j in self.molecule["bonds"]:
                reference[i, j] = reference[j, i] = True
            names = dict(zip(colours(self.molecule["elements"], reference), self.molecule["types"]))
            types, between = [names[c] for c in colours(z, bonded)], hops(bonded)
        classes = [[-1 if i == j else known.get((types[i], types[j], int(between[i, j])), -1) for j in range(len(z))] for i in range(len(z))]
        return np.array(types), np.array(classes)

    def energies_and_forces(self, z, coords):
        """`[F]` and `[F, A, 3]` of frames `[F, A, 3]` with the bonds of the first."""
        types, classes = self.types(z, np.asarray(coords[0]))
        i, j = (torch.from_numpy(v) for v in np.nonzero(classes >= 0))
        cls, types = torch.from_numpy(classes)[i, j], torch.from_numpy(types)
        x = torch.as_tensor(coords).to(self.dtype).requires_grad_(True)
        d = x[:, j] - x[:, i]
        phi = radial(d.norm(dim=-1), self.molecule["radial"], self.molecule["cutoff"])
        functions = torch.einsum("fer,epr->fep", phi, self.weights["functions"][cls])
        mixed = torch.einsum("fep,eplk->felk", functions, self.weights["mix"][cls])
        y = harmonics(d)
        shape = (len(x), len(z), self.molecule["channels"])
        parts = [torch.zeros(len(x), len(z), at.stop - at.start, shape[2], dtype=self.dtype).index_add(1, i, y[..., at, None] * mixed[:, :, l, None]) for l, at in enumerate(OF_L)]
        a = torch.cat([*parts, torch.zeros(len(x), len(z), self.rows - 17, shape[2], dtype=self.dtype), torch.ones(len(x), len(z), 1, shape[2], dtype=self.dtype)], 2)
        out, p, q, c = self.first
        u = a + torch.zeros_like(a).index_add(2, out, a[:, :, p] * a[:, :, q] * c[:, None])
        out, p, q, c = self.second
        b = torch.zeros(len(x), len(z), self.count, shape[2], dtype=self.dtype).index_add(2, out, u[:, :, p] * u[:, :, q] * c[:, None])
        v = torch.einsum("fnw,nhw->fnh", b.flatten(2), self.weights["weight"][types]) + self.weights["offset"][types]
        atoms = v[..., 0] + (torch.nn.functional.silu(v[..., 1:]) * self.weights["out"][types]).sum(-1)
        energy = atoms.sum(1)
        forces = -torch.autograd.grad(energy.sum(), x)[0]
        shift = self.molecule["shift"] + sum(self.molecule["atom_shift"][t] for t in types.tolist())
        return energy.detach().double() + shift, forces.detach().double()
