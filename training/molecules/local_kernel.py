"""Kernel regression on the distances around each atom, with forces as data: step by step in README.md.

Shapes: A atoms, P = A (A - 1) / 2 pairs, M training frames, G symmetries. Pairs are in the order of `numpy.triu_indices(A, 1)`.
"""

import numba
import numpy as np

FAST = {"fastmath": True, "cache": True, "nogil": True}


def steps(bonded):
    """`[A, A]` bonds on the shortest way between two atoms, A where there is none."""
    count = len(bonded)
    found = np.full((count, count), count)
    np.fill_diagonal(found, 0)
    reached = np.eye(count, dtype=bool)
    for step in range(1, count):
        reached = reached | (reached @ bonded)
        found[reached & (found == count)] = step
    return found


def symmetries(z, bonded):
    """`[G, A]`: every renumbering of the atoms that keeps elements and bonds."""
    count = len(z)

    def extend(images):
        i = len(images)
        if i == count:
            yield images
            return
        for j in range(count):
            if j not in images and z[j] == z[i] and all(bonded[i, k] == bonded[j, images[k]] for k in range(i)):
                yield from extend([*images, j])

    return np.array(list(extend([])))


def pair_maps(symmetries):
    """`[G, P]`: the pair that each pair becomes."""
    count = symmetries.shape[1]
    a, b = np.triu_indices(count, 1)
    number = np.zeros((count, count), int)
    number[a, b] = number[b, a] = np.arange(len(a))
    return np.stack([number[s[a], s[b]] for s in symmetries])


def weights(bonded, reach, decay, length):
    """`[A, P]`: what a pair counts for around each atom, 0 where one of the two is more than `reach` bonds away."""
    way = steps(bonded)
    a, b = np.triu_indices(len(bonded), 1)
    far = np.maximum(way[:, a], way[:, b])
    return np.where(far <= reach, np.exp(-decay * (way[:, a] + way[:, b])) / length**2, 0.0)


def inverse_distances(coords):
    """`[F, P]` inverse distances and `[F, P, 3]` their gradients to the first atom of the pair."""
    a, b = np.triu_indices(coords.shape[1], 1)
    d = coords[:, a] - coords[:, b]
    x = 1 / np.linalg.norm(d, axis=-1)
    return x, -(x**3)[..., None] * d


def pull(gradients, along):
    """`[F, A, 3]` sums over pairs of `along [F, P]` times the gradients: the transpose of `push`."""
    count = round((1 + (1 + 8 * gradients.shape[1]) ** 0.5) / 2)
    a, b = np.triu_indices(count, 1)
    each, out = along[..., None] * gradients, np.zeros((len(along), count, 3))
    for atom in range(count):
        out[:, atom] = each[:, a == atom].sum(1) - each[:, b == atom].sum(1)
    return out


def push(gradients, moves):
    """`[F, P]`: changes of the inverse distances for moves `[F, A, 3]` of the atoms."""
    a, b = np.triu_indices(moves.shape[1], 1)
    return np.einsum("fpk,fpk->fp", gradients, moves[:, a] - moves[:, b])


class Lists:
    """The pairs around each atom with their weights, and each one's distinct images under the symmetries with how often they come."""

    def __init__(self, weight, maps):
        at, images, times = [np.flatnonzero(w) for w in weight], [], []
        for list_ in at:
            distinct, count = np.unique(maps[:, list_], axis=0, return_counts=True)
            images.append(distinct)
            times.append(count)
        self.pairs = np.concatenate(at)
        self.weights = np.concatenate([w[list_] for w, list_ in zip(weight, at)])
        self.begin = np.cumsum([0, *map(len, at)])
        self.images = np.concatenate([i.ravel() for i in images])
        self.image_begin = np.cumsum([0, *[i.size for i in images]])
        self.times = np.concatenate(times).astype(float)
        self.time_begin = np.cumsum([0, *map(len, times)])
        self.all = (self.pairs, self.weights, self.begin, self.images, self.image_begin, self.times, self.time_begin)


@numba.njit(**FAST)
def evaluate(x, frames, sides, pairs, weights, begin, images, image_begin, times, time_begin, energy, gradient):
    """Adds energies `[F]` and their gradients `[F, P]` at inverse distances `x [F, P]`, from training frames and their coefficients as
    changes of inverse distances, both `[P, M]`."""
    size = frames.shape[1]
    s, t = np.empty(size), np.empty(size)
    for f in range(len(x)):
        for c in range(len(begin) - 1):
            count, image = begin[c + 1] - begin[c], image_begin[c]
            for g in range(time_begin[c], time_begin[c + 1]):
                s[:] = 0.0
                t[:] = 0.0
                for n in range(count):
                    at, w, p = x[f, pairs[begin[c] + n]], weights[begin[c] + n], images[image + n]
                    for m in range(size):
                        d = at - frames[p, m]
                        s[m] += w * d * d
                        t[m] += w * d * sides[p, m]
                for m in range(size):
                    k = 1.0 / (1.0 + s[m])
                    energy[f] -= times[g] * 2.0 * k * k * t[m]
                    s[m] = times[g] * 8.0 * k * k * k * t[m]
                    t[m] = -times[g] * 2.0 * k * k
                for n in range(count):
                    at, p = x[f, pairs[begin[c] + n]], images[image + n]
                    total = 0.0
                    for m in range(size):
                        total += s[m] * (at - frames[p, m]) + t[m] * sides[p, m]
                    gradient[f, pairs[begin[c] + n]] += weights[begin[c] + n] * total
                image += count


@numba.njit(**FAST)
def covariance(x, gradient, frames, frame_gradients, a, b, renumbered, pairs, weights, begin, out):
    """Adds the covariance of forces `[3A, 3A]` of one frame with another one whose atoms were renumbered."""
    size, count = len(out), len(begin) - 1
    left, right, along = np.zeros((count, size)), np.zeros((count, size)), np.zeros(len(x))
    block = np.zeros((size, size))
    for c in range(count):
        s = 0.0
        for n in range(begin[c], begin[c + 1]):
            d = x[pairs[n]] - frames[pairs[n]]
            s += weights[n] * d * d
        k = 1.0 / (1.0 + s)
        for n in range(begin[c], begin[c + 1]):
            p = pairs[n]
            along[p] += 2.0 * k * k * weights[n]
            for axis in range(3):
                i, j = 3 * a[p] + axis, 3 * b[p] + axis
                v = weights[n] * (x[p] - frames[p])
                left[c, i] -= 8.0 * k * k * k * v * gradient[p, axis]
                left[c, j] += 8.0 * k * k * k * v * gradient[p, axis]
                right[c, i] += v * frame_gradients[p, axis]
                right[c, j] -= v * frame_gradients[p, axis]
    for c in range(count):
        for i in range(size):
            if left[c, i] != 0.0:
                for j in range(size):
                    block[i, j] += left[c, i] * right[c, j]
    for p in range(len(x)):
        if along[p] != 0.0:
            for k in range(3):
                for l in range(3):
                    v = along[p] * gradient[p, k] * frame_gradients[p, l]
                    i, j = 3 * a[p], 3 * b[p]
                    block[i + k, i + l] += v
                    block[j + k, j + l] += v
                    block[i + k, j + l] -= v
                    block[j + k, i + l] -= v
    for atom in range(size // 3):
        for axis in range(3):
            for i in range(size):
                out[i, 3 * renumbered[atom] + axis] += block[i, 3 * atom + axis]
