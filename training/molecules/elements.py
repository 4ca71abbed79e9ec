"""Invariants of atoms in any molecule: types are elements, pair classes are ordered pairs of elements."""

import numba
import numpy as np
import torch

import kernels
from basis import LMAX, harmonics, radial


@numba.njit(**kernels.FAST)
def scatter(src, mixed, y, a):
    """A `[atoms, 16, K]` from R `[E, 4, K]` and Y `[E, 16]`."""
    for e in range(len(src)):
        for l in range(4):
            for m in range(l * l, (l + 1) * (l + 1)):
                for k in range(a.shape[2]):
                    a[src[e], m, k] += y[e, m] * mixed[e, l, k]


def edges(offsets, coords, cutoff):
    """`src`, `dst`, vectors of all pairs in the same molecule that are nearer than the cutoff."""
    src, dst = [], []
    for begin, end in zip(offsets[:-1], offsets[1:]):
        d = np.linalg.norm(coords[begin:end, None] - coords[None, begin:end], axis=-1)
        i, j = np.nonzero((d < cutoff) & (d > 0))
        src.append(i + begin)
        dst.append(j + begin)
    src, dst = np.concatenate(src), np.concatenate(dst)
    return src, dst, coords[dst] - coords[src]


class Describer:
    """Whitened radial functions and random mixing, drawn once and kept in the file."""

    def __init__(self, elements, settings, seed):
        self.elements, self.settings, t = list(elements), settings, len(elements)
        generator = torch.Generator().manual_seed(seed)
        shape = (t * t, settings["radial_kept"], LMAX + 1, settings["channels"])
        self.mix = torch.randn(shape, generator=generator) * settings["spread"]
        self.functions = torch.zeros(t * t, settings["radial_kept"], settings["radial"], dtype=torch.float64)

    def classes(self, z, src, dst):
        kind = np.array([self.elements.index(v) if v in self.elements else -1 for v in range(max(self.elements) + 1)])[z]
        return kind, kind[src] * len(self.elements) + kind[dst]

    def fit(self, z, src, dst, vectors):
        _, classes = self.classes(z, src, dst)
        r = torch.from_numpy(np.linalg.norm(vectors, axis=-1))
        smooth = torch.arange(1, self.settings["radial"] + 1).double() ** -self.settings["smooth"]
        for c in np.unique(classes):
            phi = radial(r[classes == c][:100_000], self.settings["radial"], self.settings["cutoff"]) * smooth
            value, vector = torch.linalg.eigh(phi.T @ phi / len(phi))
            p = self.settings["radial_kept"]
            value, vector = value.flip(0)[:p].clamp(min=0), vector.flip(1)[:, :p]
            self.functions[c] = (smooth[:, None] * vector / (value + self.settings["damping"]).sqrt()).T

    def __call__(self, z, src, dst, vectors, terms):
        """Types `[atoms]` and invariants `[atoms, M * K]`, f32."""
        kind, classes = self.classes(z, src, dst)
        a = np.zeros((len(z), 16, self.settings["channels"]), np.float32)
        for c in np.unique(classes):
            at = np.flatnonzero(classes == c)
            d = torch.from_numpy(vectors[at])
            phi = radial(d.norm(dim=-1), self.settings["radial"], self.settings["cutoff"]) @ self.functions[c].T
            mixed = torch.einsum("ep,plk->elk", phi.float(), self.mix[c])
            scatter(src[at], mixed.numpy(), harmonics(d).float().numpy(), a)
        return kind, kernels.Plain.apply(torch.from_numpy(a), terms).flatten(1)
