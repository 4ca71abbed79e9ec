"""How like training a window is, and the factors of sigma that follow: see step 7 of `README.md`.

A window's mean row is compared with `PLACES` mean rows that stand for all training windows (k-means); the distance to the nearest is
small for people and movements of training, and large for a person whom the network has not seen.
"""

import numpy as np
import torch

from augment import run_of, together
from network import STRIDE, WINDOW

PLACES = 256
EVERY = 3  # of the training windows, those that the places are drawn from
COVERED = 0.6827


def rows_of(encoder, frames, graphs, at_once=300):
    """The row of every frame `[F, R]`; zeros where its graph has no nodes."""
    out = []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(frames)), max(1, len(frames) // at_once)):
            x, near, alive, frame, count, place, _ = together([run_of(graphs, frames.joints, part[0], part, 1, 1)])
            out.append(encoder.fast(x, near, alive, frame, count)[place[:, 0]])
    return torch.cat(out).numpy()


def windows(frames, keep):
    """`[n, WINDOW]` for the frames where `keep` is true: the frames of each window, newest first, -1 before the start of what is kept."""
    rows, starts = np.where(keep)[0], frames.starts()
    begin = np.concatenate([[True], (np.diff(rows) != 1) | (np.diff(starts[rows]) != 0)])
    first = np.maximum.accumulate(np.where(begin, rows, 0))
    held = rows[:, None] - STRIDE * np.arange(WINDOW)
    return np.where(held >= first[:, None], held, -1)


def mean_rows(rows, held):
    """The mean of the rows of each window `[n, R]`, without those of zeros; zeros where there is no other."""
    there = (held >= 0) & (rows != 0).any(1)[held]
    total = np.zeros((len(held), rows.shape[1]), np.float32)
    for i in range(held.shape[1]):
        total += np.where(there[:, i:i + 1], rows[held[:, i]], 0)
    return total / np.maximum(there.sum(1), 1)[:, None].astype(np.float32)


def squares(a, b):
    return (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T


def places_of(means, seed=1, rounds=12):
    """`(scale [R], places [PLACES, R])` of the mean rows of training."""
    scale = (1 / (means.std(0) + 1e-4)).astype(np.float32)
    x = (means * scale)[::EVERY]
    places = x[np.random.default_rng(seed).choice(len(x), PLACES, replace=False)]
    for _ in range(rounds):
        nearest = np.argmin(squares(x, places), axis=1)
        count, total = np.bincount(nearest, minlength=PLACES), np.zeros_like(places)
        np.add.at(total, nearest, x)
        places = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], places).astype(np.float32)
    return scale, places


def distances(means, scale, places):
    """To the nearest place `[n]`; infinite for a window without rows."""
    near = np.sqrt(np.maximum(squares(means * scale, places).min(1), 0))
    return np.where((means != 0).any(1), near, np.inf)


def factor(distance, rule):
    """What the sigmas of a window are multiplied by `[n]`; `rule` has `near`, `far`, `known`, `unknown`."""
    strange = np.clip((distance - rule["near"]) / (rule["far"] - rule["near"]), 0, 1)
    return np.exp(np.log(rule["known"]) * (1 - strange) + np.log(rule["unknown"]) * strange)


def answers(members, rows, held):
    """`[n, 76]`: the mean of the members' outputs for windows `held`; `rows` has the members' rows side by side."""
    out = 0
    with torch.no_grad():
        for (_, head), own in zip(members, np.split(rows, len(members), axis=1)):
            own = np.concatenate([own, np.zeros_like(own[:1])])  # held -1 is the last: zeros
            out = out + torch.cat([head(torch.from_numpy(own[part].reshape(len(part), -1)), None)
                                   for part in np.array_split(held, max(1, len(held) // 2000))])
    return (out / len(members)).numpy()


def fit(known, unknown, near, far):
    """The factors by which sigma covers 68.27 % of the errors of known people, and of unknown ones, on the mean of the folds of each.

    Folds are `(|error| [n, 19, 3], sigma [n, 19], distance [n])`. Windows between `near` and `far` count in both.
    """
    rule = {"known": 1.0, "unknown": 1.0, "near": near, "far": far}

    def covered(folds):
        return np.mean([(e <= (s * factor(d, rule)[:, None])[:, :, None]).mean() for e, s, d in folds])

    for _ in range(20):
        before = dict(rule)
        for name, folds in (("known", known), ("unknown", unknown)):
            low, high = 0.05, 20.0
            for _ in range(16):
                rule[name] = float(np.sqrt(low * high))
                low, high = (rule[name], high) if covered(folds) < COVERED else (low, rule[name])
        if all(abs(np.log(rule[name] / before[name])) < 2e-3 for name in ("known", "unknown")):
            break
    return rule
