"""The two networks: `Encoder` (graph of a frame -> a row) and `Head` (the rows of the window -> joints and sigmas).

`forward` is what `export.py` writes and PyTorch Geometric runs. `fast` is the same sum for training, on neighbours `[n, k]`.
"""

import torch
from torch import nn
from torch_geometric.nn import EdgeConv, global_add_pool, global_max_pool, global_mean_pool

from gather import nearest_max

WINDOW = 10  # rows that the head sees: those of frames t, t - 2, ..., t - 18
STRIDE = 2
INPUTS = 6  # features of a node, see data.features
COUNT_SCALE = 1 / 64  # of the sum over the nodes


def fast_edge_conv(conv, x, near):
    """EdgeConv of one linear layer and maximum, then ReLU: two products a node."""
    linear = conv.nn
    own, other = linear.weight.chunk(2, dim=1)
    return torch.relu(x @ (own - other).T + linear.bias + nearest_max(x @ other.T, near))


class Encoder(nn.Module):
    def __init__(self, widths=(32, 64), hidden=64, row=48):
        super().__init__()
        channels = [INPUTS, *widths]
        self.convs = nn.ModuleList([EdgeConv(nn.Linear(2 * i, o), aggr="max") for i, o in zip(channels, channels[1:])])
        self.mix = nn.Linear(sum(channels), hidden)
        self.norm = nn.BatchNorm1d(3 * hidden, momentum=0.05)
        self.row = nn.Linear(3 * hidden, row)

    def forward(self, x, edge_index, batch):
        parts = [x]
        for conv in self.convs:
            parts.append(torch.relu(conv(parts[-1], edge_index)))
        h = torch.relu(self.mix(torch.cat(parts, dim=1)))
        pools = [global_max_pool(h, batch), global_mean_pool(h, batch), global_add_pool(h, batch) * COUNT_SCALE]
        return self.row(self.norm(torch.cat(pools, dim=1)))

    def fast(self, x, near, alive, frame, frames):
        """`near` -> neighbours, `len(x)` where there is none; `alive` -> 0/1 a node; `frame` -> the row of each node."""
        parts = [x]
        for conv in self.convs:
            parts.append(fast_edge_conv(conv, parts[-1], near))
        h = torch.relu(self.mix(torch.cat(parts, dim=1))) * alive[:, None]
        count = alive.new_zeros(frames).index_add_(0, frame, alive)[:, None]
        total = h.new_zeros(frames, h.shape[1]).index_add_(0, frame, h)
        largest = h.new_zeros(frames, h.shape[1]).scatter_reduce(0, frame[:, None].expand_as(h), h, "amax")
        row = self.row(self.norm(torch.cat([largest, total / count.clamp(min=1), total * COUNT_SCALE], dim=1)))
        return row * (count > 0)  # a frame without nodes is a row of zeros


class Head(nn.Module):
    """Rows of the window, newest first, in one row -> 57 coordinates (m) and 19 log sigmas."""

    def __init__(self, window=WINDOW, row=48, hidden=256, middle=128, dropout=0.3, mean=None):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(window * row, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout),
                                 nn.Linear(hidden, middle), nn.GELU(), nn.Dropout(dropout))
        self.out = nn.Linear(middle, 57)
        self.sigma = nn.Linear(middle, 19)
        with torch.no_grad():
            self.out.weight *= 0.1
            self.out.bias.copy_(torch.zeros(57) if mean is None else mean)
            self.sigma.weight *= 0.1
            self.sigma.bias.fill_(-3.0)

    def forward(self, x, edge_index):
        h = self.net(x)
        return torch.cat([self.out(h), self.sigma(h)], dim=1)


def outputs(encoder, head, batch):
    """`[frames, 76]` of a batch of `augment.together`; a frame before the start is a row of zeros."""
    x, near, alive, frame, frames, place, _ = batch
    rows = encoder.fast(x, near, alive, frame, frames)
    rows = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    return head(rows[place].flatten(1), None)


def losses(out, joints):
    """Mean error, and the pinball loss that makes sigma the 68.27 % quantile of a joint's errors."""
    error = (out[:, :57] - joints).abs()
    over = error.detach().view(-1, 19, 3) - torch.exp(out[:, 57:])[:, :, None]
    return error.mean(), torch.maximum(0.6827 * over, -0.3173 * over).mean()
