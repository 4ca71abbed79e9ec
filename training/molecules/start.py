"""The linear start: least squares of the read-out's linear part on energies and forces, with the first, random mixing.

Minimises sum |dF|^2 + w^2 dE^2 + ridge |c|^2 over the coefficients c of the standardised invariants of each type; smoothness is in
the invariants already, since `fit_whitening` keeps radial functions of high frequency small.
"""

import numpy as np
import scipy.linalg
import torch

import kernels
from model import UNIT

# Columns of the normal equations that are worked on at a time.
STRIP = 2048
# Least addition to the diagonal of the normal equations: about what the rounding of f32 sums needs.
LEAST = 3.0


def rows(model, geometry, index):
    """Energies' rows `[B, T * M * K]` and forces' rows `[B, N * 3, T * M * K]`."""
    t, width, count = len(model.topology.names), model.scale.shape[1], len(index)
    shape = (t, model.terms.count, width // model.terms.count)
    energies, forces = np.zeros((count, *shape), np.float32), np.zeros((count, 3 * len(model.types), *shape), np.float32)
    kernels.rows(*geometry, index, *parts(model), energies, forces)
    scale = model.scale.numpy().reshape(shape)
    forces *= scale
    energies -= (model.mean * torch.bincount(model.types)[:, None]).numpy().reshape(shape)
    energies *= scale
    return energies.reshape(count, -1), forces.reshape(count, -1, t * width)


def parts(model):
    """What the compiled loops read of a model beside the geometry."""
    mix = model.mix.detach()[model.pair].contiguous().numpy()
    return mix, model.types.numpy(), model.other.numpy(), *model.terms.lists


def moments(model, geometry, index):
    """Sums of products of the slopes of atoms' energies by the channels of A, by type and l, `[T, 4, K, K]`."""
    t, k = len(model.topology.names), model.mix.shape[-1]
    weight = (model.linear.detach()[..., 0] * model.scale).view(t, -1, k).numpy()
    mix, types, _, *lists = parts(model)
    out = np.zeros((t, 4, k, k))
    kernels.moments(*geometry, index, mix, types, *lists, weight, out)
    return torch.from_numpy(out)


def fit_linear(model, geometry, index, energies, forces, ridge, weight=3.0, chunk=25, rounds=60, progress=lambda done: None, look=lambda turn: None):
    """Sets the linear part; energies are those less the shift, eV.

    The normal equations are summed in f32, which is fast but loses what the energies say about stiff directions. So their Cholesky
    factor only preconditions conjugate gradients on the rows themselves, with vectors in f64. `look` is called every 20 rounds, when the
    model has the coefficients so far.
    """
    size = model.linear.numel()
    gram, kept, targets = [np.zeros((min(STRIP, size - b), size - b)) for b in range(0, size, STRIP)], [], []
    for s in range(0, len(index), chunk):
        at = index[s : s + chunk]
        e, f = rows(model, geometry, at)
        kept.append(np.concatenate([f.reshape(-1, size), e * np.float32(weight)]))
        targets.append(np.concatenate([forces[at].reshape(-1), energies[at] * weight]))
        for n, strip in enumerate(gram):
            strip += kept[-1][:, n * STRIP : (n + 1) * STRIP].T @ kept[-1][:, n * STRIP :]
        progress(s + len(at))
    back = lambda parts: sum((a.T @ part.astype(np.float32)).astype(np.float64) for a, part in zip(kept, parts))
    apply = lambda c: back([a @ c.astype(np.float32) for a in kept]) + ridge * c
    held, shown = None, max(ridge, LEAST)
    while held is None:
        try:
            held = Factor(gram, shown)
        except np.linalg.LinAlgError:
            shown *= 3
    del gram
    c = held.solve(back(targets))
    # The residual of the equations, from the rows' own residual so that rounding stays small.
    left = back([t - a @ c.astype(np.float32) for a, t in zip(kept, targets)]) - ridge * c
    best, direction, old = np.inf, np.zeros(size), 1.0
    for turn in range(rounds):
        z = held.solve(left)
        now = left @ z
        direction = z + (now / old if turn else 0.0) * direction
        moved = apply(direction)
        step = now / (direction @ moved)
        c, left, old = c + step * direction, left - step * moved, now
        best = min(best, now)
        if now < 1e-10 or now > 100 * best:
            break
        if turn % 20 == 19:
            put(model, c)
            look(turn + 1)
    print(f"linear start: {size} coefficients, ridge {ridge:g} (preconditioner {shown:g}), {turn + 1} rounds", flush=True)
    put(model, c)


class Factor:
    """The Cholesky factor of a matrix with `shift` added to its diagonal. Of the matrix the strips of `STRIP` rows are given, each from
    its diagonal on. LAPACK's own in one piece ends in a fault from some 20,000 columns up."""

    def __init__(self, strips, shift):
        self.corners, self.panels, strips = [], [], [strip.copy() for strip in strips]
        for n, strip in enumerate(strips):
            h = len(strip)
            corner = np.triu(strip[:, :h])
            corner = corner + np.triu(corner, 1).T
            corner[np.diag_indices(h)] += shift
            self.corners.append(np.linalg.cholesky(corner))
            panel = strip[:, h:]
            for s in range(0, panel.shape[1], STRIP):
                panel[:, s : s + STRIP] = scipy.linalg.solve_triangular(self.corners[n], panel[:, s : s + STRIP], lower=True, check_finite=False)
            self.panels.append(panel)
            for m, below in enumerate(strips[n + 1 :]):
                below -= panel[:, m * STRIP : m * STRIP + len(below)].T @ panel[:, m * STRIP :]

    def solve(self, v):
        """The matrix's inverse times a vector."""
        v, strips = v.copy(), [(n * STRIP, *pair) for n, pair in enumerate(zip(self.corners, self.panels))]
        for b, corner, panel in strips:
            e = b + len(corner)
            v[b:e] = scipy.linalg.solve_triangular(corner, v[b:e], lower=True, check_finite=False)
            v[e:] -= panel.T @ v[b:e]
        for b, corner, panel in reversed(strips):
            e = b + len(corner)
            v[b:e] = scipy.linalg.solve_triangular(corner, v[b:e] - panel @ v[e:], lower=True, trans=1, check_finite=False)
        return v


def put(model, c):
    """Makes the coefficients the model's read-out."""
    with torch.no_grad():
        model.linear.copy_(torch.from_numpy(c).view(model.linear.shape) / (UNIT * model.linear.shape[1] ** -0.5))
        model.out.zero_()
