"""Radial functions, real spherical harmonics and their gradients, and the coupling of harmonics.

Radial: phi_n(r) = sin(n pi r / c) / r * u(r / c), n = 1..N, with u(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8 (Gasteiger et al. 2020).
Angular: Y_lm up to l = 3, normalised so that sum over m of Y_lm^2 is 2l + 1; order of m as -l..l.
Coupling: the Gaunt coefficients, integral of Y_1 Y_2 Y_3 over the sphere / 4 pi.
"""

import numpy as np
import torch

LMAX = 3
OF_L = [slice(l * l, (l + 1) ** 2) for l in range(LMAX + 1)]


def radial(r, count, cutoff):
    """`[..., N]` for distances `[...]` in angstrom, zero from the cutoff on."""
    x = (r / cutoff).clamp(max=1.0)[..., None]
    n = torch.arange(1, count + 1, dtype=r.dtype)
    envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    return torch.sin(n * torch.pi * x) / r[..., None] * envelope


def harmonics(d):
    """`[..., 16]` for vectors `[..., 3]` that are not zero."""
    x, y, z = torch.unbind(d / d.norm(dim=-1, keepdim=True), -1)
    s = lambda v: v**0.5
    one = torch.ones_like(x)
    return torch.stack([
        one,
        s(3) * y, s(3) * z, s(3) * x,
        s(15) * x * y, s(15) * y * z, s(5) / 2 * (3 * z * z - 1), s(15) * x * z, s(15) / 2 * (x * x - y * y),
        s(35 / 8) * y * (3 * x * x - y * y), s(105) * x * y * z, s(21 / 8) * y * (5 * z * z - 1),
        s(7) / 2 * z * (5 * z * z - 3),
        s(21 / 8) * x * (5 * z * z - 1), s(105) / 2 * z * (x * x - y * y), s(35 / 8) * x * (x * x - 3 * y * y),
    ], -1)


def gaunt():
    """`[16, 16, 16]` f64, by a quadrature that is exact for these polynomials."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    angle = np.arange(16) * (2 * np.pi / 16)
    z = np.repeat(nodes, 16)
    s = np.sqrt(1 - z * z)
    d = np.stack([s * np.tile(np.cos(angle), 8), s * np.tile(np.sin(angle), 8), z], -1)
    y = harmonics(torch.from_numpy(d)).numpy()
    g = np.einsum("q,qa,qb,qc->abc", np.repeat(weights, 16) / 32, y, y, y)
    g[np.abs(g) < 1e-12] = 0
    return g
