"""Fits a kernel regression on forces: conjugate gradients, preconditioned by some of the frames (Nystrom)."""

import numpy as np
import scipy.linalg

from local_kernel import Lists, covariance, evaluate, inverse_distances, pair_maps, pull, push


# Training frames that are worked on at once, so that they stay in the cache.
BLOCK = 128


class Model:
    """Energies, but for a constant, and forces from training frames `[M, A, 3]`, coefficients `[M, A, 3]`, weights `[R, P]`."""

    def __init__(self, frames, weight, symmetries):
        self.frames, self.weight, self.symmetries = frames, weight, symmetries
        self.lists = Lists(weight, pair_maps(symmetries))
        self.x, self.gradients = inverse_distances(frames)
        self.blocks = [np.ascontiguousarray(self.x[s : s + BLOCK].T) for s in range(0, len(frames), BLOCK)]
        self.coefficients = np.zeros_like(frames)

    def __call__(self, coords=None):
        """Energies `[F]` and forces `[F, A, 3]`; of the training frames where there are no others."""
        x, gradients = (self.x, self.gradients) if coords is None else inverse_distances(coords)
        sides, energy, along = push(self.gradients, self.coefficients), np.zeros(len(x)), np.zeros(x.shape)
        for n, block in enumerate(self.blocks):
            at = np.ascontiguousarray(sides[n * BLOCK : (n + 1) * BLOCK].T)
            evaluate(x, block, at, *self.lists.all, energy, along)
        return energy, -pull(gradients, along)

    def covariances(self, chosen):
        """`[3 A M, 3 A B]` of all training frames with the chosen ones."""
        atoms = self.frames.shape[1]
        a, b = np.triu_indices(atoms, 1)
        out = np.zeros((len(self.frames), len(chosen), 3 * atoms, 3 * atoms))
        lists = self.lists
        for n, frame in enumerate(chosen):
            for symmetry in self.symmetries:
                x, gradients = inverse_distances(self.frames[frame][symmetry][None])
                for m in range(len(self.frames)):
                    covariance(self.x[m], self.gradients[m], x[0], gradients[0], a, b, symmetry, lists.pairs, lists.weights, lists.begin, out[m, n])
        return out.transpose(0, 2, 1, 3).reshape(len(self.frames) * 3 * atoms, -1)


def fit(model, forces, noise, chosen, rounds, tolerance, progress=lambda *_: None, state=None):
    """Solves (K + noise * mean of K's diagonal) c = forces. `chosen` frames make the preconditioner. `progress` gets the round, the
    residual against the forces, and the `state` from which a later call goes on."""
    shape, target = forces.shape, forces.reshape(-1)
    size = 3 * shape[1]
    tall = model.covariances(chosen)
    at = (np.asarray(chosen)[:, None] * size + np.arange(size)).reshape(-1)
    square = tall[at]
    scale = noise * np.diag(square).mean()
    held = square * scale + tall.T @ tall
    held[np.diag_indices(len(held))] += 1e-10 * np.diag(held).mean()
    held = scipy.linalg.cho_factor(held, lower=True, overwrite_a=True, check_finite=False)
    precondition = lambda v: (v - tall @ scipy.linalg.cho_solve(held, tall.T @ v, check_finite=False)) / scale

    def apply(c):
        model.coefficients = c.reshape(shape)
        return model()[1].reshape(-1) + scale * c

    start = {"c": np.zeros(target.size), "left": target, "direction": np.zeros(target.size), "old": np.inf, "turn": -1}
    c, left, direction, old, last = (start if state is None else state).values()
    for turn in range(int(last) + 1, rounds):
        z = precondition(left)
        now = left @ z
        direction = z + now / old * direction
        moved = apply(direction)
        step = now / (direction @ moved)
        c, left, old = c + step * direction, left - step * moved, now
        size_left = np.linalg.norm(left) / np.linalg.norm(target)
        progress(turn, size_left, {"c": c, "left": left, "direction": direction, "old": old, "turn": turn})
        if size_left < tolerance:
            break
    model.coefficients = c.reshape(shape)
    return model
