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


def fit_linear(model, geometry, index, energies, forces, ridge, weight=3.0, chunk=25, rounds=60, progress=lambda done: None):
    """Sets the linear part; energies are those less the shift, eV.

    The normal equations are summed in f32, which is fast but loses what the energies say about stiff directions. So their Cholesky
    factor only preconditions conjugate gradients on the rows themselves, with vectors in f64.
    """
    size = model.linear.numel()
    gram, kept, targets = np.zeros((size, size), np.float32), [], []
    for s in range(0, len(index), chunk):
        at = index[s : s + chunk]
        e, f = rows(model, geometry, at)
        kept.append(np.concatenate([f.reshape(-1, size), e * np.float32(weight)]))
        targets.append(np.concatenate([forces[at].reshape(-1), energies[at] * weight]))
        gram += kept[-1].T @ kept[-1]
        progress(s + len(at))
    back = lambda parts: sum((a.T @ part.astype(np.float32)).astype(np.float64) for a, part in zip(kept, parts))
    apply = lambda c: back([a @ c.astype(np.float32) for a in kept]) + ridge * c
    held, shown = None, ridge
    while held is None:
        try:
            full = gram.astype(np.float64)
            full[np.diag_indices(size)] += shown
            held = scipy.linalg.cho_factor(full, overwrite_a=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            shown *= 3
    c = scipy.linalg.cho_solve(held, back(targets), check_finite=False)
    # The residual of the equations, from the rows' own residual so that rounding stays small.
    left = back([t - a @ c.astype(np.float32) for a, t in zip(kept, targets)]) - ridge * c
    best, direction, old = np.inf, np.zeros(size), 1.0
    for turn in range(rounds):
        z = scipy.linalg.cho_solve(held, left, check_finite=False)
        now = left @ z
        direction = z + (now / old if turn else 0.0) * direction
        moved = apply(direction)
        step = now / (direction @ moved)
        c, left, old = c + step * direction, left - step * moved, now
        best = min(best, now)
        if now < 1e-10 or now > 100 * best:
            break
    print(f"linear start: {size} coefficients, ridge {ridge:g} (preconditioner {shown:g}), {turn + 1} rounds", flush=True)
    with torch.no_grad():
        model.linear.copy_(torch.from_numpy(c).view(model.linear.shape) / (UNIT * model.linear.shape[1] ** -0.5))
        model.out.zero_()
