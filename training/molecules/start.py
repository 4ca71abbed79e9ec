"""The linear start: least squares of the read-out's linear part on energies and forces, with the first, random mixing.

Minimises sum |dF|^2 + w^2 dE^2 + ridge |c|^2 over the coefficients c of the standardised invariants of each type; smoothness is in
the invariants already, since `fit_whitening` keeps radial functions of high frequency small.
"""

import numpy as np
import scipy.linalg
import torch

import kernels
from basis import OF_L
from model import UNIT

# Columns of the normal equations that are worked on at a time.
STRIP = 2048


def rows(model, geometry, index):
    """Energies' rows `[B, T * M * K]` and forces' rows `[B, N * 3, T * M * K]`."""
    phi, dphi, y, dy, unit = geometry
    n, count, (_, _, j, p), t = len(model.types), len(index), phi.shape, len(model.topology.names)
    shapes = [(n, count, at.stop - at.start, j, p) for at in OF_L]
    of_type = [torch.nonzero(model.types == each)[:, 0] for each in range(t)]
    with torch.no_grad():
        mix, scale, width = model.mixes(), model.scale[model.types][:, None], model.scale.shape[1]
        x = [np.empty(shape, np.float32) for shape in shapes]
        for at, of_l in zip(OF_L, x):
            kernels.features(phi, y, index, at.start, at.stop, of_l)
        a = model.density([torch.from_numpy(v) for v in x], mix)
        forces = np.empty((count, n * 3, t * width), np.float32)
        other = (model.other[None] == torch.arange(n)[:, None, None]).float().numpy()
        for atom in range(n):
            for axis in range(3):
                w = np.zeros((count, n, j, 3), np.float32)
                w[..., axis] += other[atom]
                w[:, atom, :, axis] -= 1
                dx = [np.empty(shape, np.float32) for shape in shapes]
                for at, of_l in zip(OF_L, dx):
                    kernels.directions(phi, dphi, y, dy, unit, index, at.start, at.stop, w, of_l)
                b, db = kernels.Dual.apply(a, model.density([torch.from_numpy(v) for v in dx], mix), model.terms)
                db = db.view(n, count, -1) * scale
                for each, atoms in enumerate(of_type):
                    forces[:, 3 * atom + axis, each * width : (each + 1) * width] = -db[atoms].sum(0).numpy()
        b = (b.view(n, count, -1) - model.mean[model.types][:, None]) * scale
        energies = torch.cat([b[atoms].sum(0) for atoms in of_type], 1)
    return energies.numpy(), forces


def fit_linear(model, geometry, index, energies, forces, ridge, weight=3.0, chunk=25, rounds=60, progress=lambda done: None, look=lambda turn: None):
    """Sets the linear part; energies are those less the shift, eV.

    The normal equations are summed in f32, which is fast but loses what the energies say about stiff directions. So their Cholesky
    factor only preconditions conjugate gradients on the rows themselves, with vectors in f64. `look` is called every 20 rounds, when the
    model has the coefficients so far.
    """
    size = model.linear.numel()
    gram, kept, targets = np.zeros((size, size)), [], []
    for s in range(0, len(index), chunk):
        at = index[s : s + chunk]
        e, f = rows(model, geometry, at)
        kept.append(np.concatenate([f.reshape(-1, size), e * np.float32(weight)]))
        targets.append(np.concatenate([forces[at].reshape(-1), energies[at] * weight]))
        # In strips: one product of so many columns is more than the library's kernels address.
        for begin in range(0, size, STRIP):
            gram[begin : begin + STRIP, begin:] += kept[-1][:, begin : begin + STRIP].T @ kept[-1][:, begin:]
        progress(s + len(at))
    back = lambda parts: sum((a.T @ part.astype(np.float32)).astype(np.float64) for a, part in zip(kept, parts))
    apply = lambda c: back([a @ c.astype(np.float32) for a in kept]) + ridge * c
    held, shown = None, ridge
    while held is None:
        try:
            held = Factor(gram, shown)
        except np.linalg.LinAlgError:
            shown *= 3
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
    """The Cholesky factor of a matrix of which the upper triangle is given, with `shift` added to its diagonal, made in place of the lower
    one strip by strip: LAPACK's own in one piece ends in a fault from some 20,000 columns up."""

    def __init__(self, square, shift):
        self.lower, self.corners = square, []
        strips = range(0, len(square), STRIP)
        for b in strips:
            e = b + STRIP
            square[e:, b:e] = square[b:e, e:].T
            corner = np.triu(square[b:e, b:e])
            corner = corner + np.triu(corner, 1).T
            corner[np.diag_indices(len(corner))] += shift
            self.corners.append(corner)
        for n, b in enumerate(strips):
            e = b + STRIP
            corner = self.corners[n] = np.linalg.cholesky(self.corners[n])
            panel = square[e:, b:e] = scipy.linalg.solve_triangular(corner, square[e:, b:e].T, lower=True, check_finite=False).T
            for m, s in enumerate(range(e, len(square), STRIP)):
                own = panel[s - e : s - e + STRIP]
                self.corners[n + 1 + m] -= own @ own.T
                square[s + STRIP :, s : s + STRIP] -= panel[s - e + STRIP :] @ own.T

    def solve(self, v):
        """The matrix's inverse times a vector."""
        v, strips = v.copy(), list(enumerate(range(0, len(v), STRIP)))
        for n, b in strips:
            e = b + STRIP
            v[b:e] = scipy.linalg.solve_triangular(self.corners[n], v[b:e], lower=True, check_finite=False)
            v[e:] -= self.lower[e:, b:e] @ v[b:e]
        for n, b in reversed(strips):
            e = b + STRIP
            v[b:e] -= self.lower[e:, b:e].T @ v[e:]
            v[b:e] = scipy.linalg.solve_triangular(self.corners[n], v[b:e], lower=True, trans=1, check_finite=False)
        return v


def put(model, c):
    """Makes the coefficients the model's read-out."""
    with torch.no_grad():
        model.linear.copy_(torch.from_numpy(c).view(model.linear.shape) / (UNIT * model.linear.shape[1] ** -0.5))
        model.out.zero_()
