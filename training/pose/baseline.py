"""A Bi-LSTM on statistics of each frame's cloud, trained under a random split of frames and under the split in time.

    python training/pose/baseline.py --data FOLDER

Under the random split (80 % / 20 % of all frames with labels, in windows of 21 frames around each) a test frame's neighbours, 0.1 s away,
are training frames. The same network under the published split shows what that is worth.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data import kept, read

HALF = 10  # frames before and after


class BiLSTM(nn.Module):
    def __init__(self, inputs, mean, hidden=96):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * hidden, 128), nn.ReLU(), nn.Linear(128, 57))
        self.mean = mean

    def forward(self, x):
        h = self.lstm(x)[0]
        return self.mean + self.out(torch.cat([h[:, HALF], h.mean(1)], dim=1))


def statistics(frames):
    """One row a frame: count, and of x, y, z, Doppler and log intensity mean, deviation and five percentiles; profiles over height."""
    out = np.zeros((len(frames), 36 + 28), np.float32)
    heights = np.linspace(-0.9, 0.9, 7)
    for f in range(len(frames)):
        p = frames.points[frames.offsets[f]:frames.offsets[f + 1]]
        p = p[kept(p)]
        if len(p) == 0:
            continue
        columns = np.column_stack([p[:, :4], np.log1p(np.maximum(p[:, 4], 0))])
        near = np.exp(-0.5 * ((p[:, 2:3] - heights) / 0.18) ** 2)
        total = near.sum(0)
        out[f] = np.concatenate([[len(p) / 64], columns.mean(0), columns.std(0),
                                 np.quantile(columns, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).ravel(), total / 16,
                                 *(near.T @ p[:, [0, 1, 3]] / (total[:, None] + 1)).T])
    return (out - out.mean(0)) / (out.std(0) + 1e-3)


def score(x, joints, windows, train, tests, epochs, seed=1):
    torch.manual_seed(seed)
    x, y, windows = torch.from_numpy(x), torch.from_numpy(joints.reshape(-1, 57)), torch.from_numpy(windows)
    net = BiLSTM(x.shape[1], y[train].mean(0))
    train, batch = torch.from_numpy(np.where(train)[0]), 128
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * (len(train) // batch))
    began = time.time()
    for epoch in range(epochs):
        for rows in train[torch.randperm(len(train))].split(batch)[:len(train) // batch]:
            loss = (net(x[windows[rows]]) - y[rows]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    print(f"{epochs} epochs, {time.time() - began:.0f} s, training loss {100 * loss.item():.2f} cm", flush=True)
    net.eval()
    with torch.no_grad():
        return [100 * float(torch.cat([(net(x[windows[rows]]) - y[rows]).abs() for rows in torch.from_numpy(np.where(t)[0]).split(512)])
                            .mean()) for t in tests]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=15)
    o = parser.parse_args()
    torch.set_num_threads(1)
    parts = [read(Path(o.data) / f"{name}.npz") for name in ("train_s234", "validate")]
    x = np.concatenate([statistics(part) for part in parts])
    joints = np.concatenate([part.joints for part in parts])
    subject = np.concatenate([part.subject for part in parts])
    key = np.concatenate([part.subject * 1000 + part.movement for part in parts])
    index = np.concatenate([part.index for part in parts])
    place = {pair: row for row, pair in enumerate(zip(key, index))}  # training and validation frames follow each other
    around = np.empty((len(x), 2 * HALF + 1), np.int64)
    for row, pair in enumerate(zip(key, index)):
        for side in (-1, 1):
            last = row
            for d in range(HALF + 1):
                last = place.get((pair[0], pair[1] + side * d), last)
                around[row, HALF + side * d] = last
    train = np.arange(len(x)) < len(parts[0])
    people = subject != 1
    print("split in time: people 2-4 %.2f cm, person 1 %.2f cm"
          % tuple(score(x, joints, around, train, [~train & people, ~train & ~people], o.epochs)), flush=True)
    random = np.random.default_rng(1).random(len(x)) < 0.8
    print("random split: people 2-4 %.2f cm, person 1 %.2f cm"
          % tuple(score(x, joints, around, random, [~random & people, ~random & ~people], o.epochs)), flush=True)


if __name__ == "__main__":
    main()
