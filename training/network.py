"""GraphUNet: a U-shaped graph network over a voxel pyramid of kNN graphs.

Block: t = relu(Wr h_i + max_j(Wn h_j + P (p_j - p_i) / s) + b), h = relu(h + W2 t + b2). The maximum is PyG's
`PointNetConv` with one linear layer as `local_nn` and no self loops (Qi et al., PointNet++, 2017); the U shape follows
Ronneberger et al. (2015). Batch normalisation exists in training only: `export` folds it into the weights.
"""

import json

import numpy as np
import torch
from numba import njit
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from graph import GEOMETRY


@njit(cache=True)
def _edge_max(a, p, positions, neighbours, inverse, out, winner):
    n, k = neighbours.shape
    channels = a.shape[1]
    best = np.empty(channels, np.float32)
    who = np.empty(channels, np.int32)
    for i in range(n):
        for c in range(channels):
            best[c] = np.float32(-3.4e38)
            who[c] = 0
        for j in range(k):
            q = neighbours[i, j]
            dx = (positions[q, 0] - positions[i, 0]) * inverse
            dy = (positions[q, 1] - positions[i, 1]) * inverse
            dz = (positions[q, 2] - positions[i, 2]) * inverse
            for c in range(channels):
                v = a[q, c] + (p[0, c] * dx + p[1, c] * dy + p[2, c] * dz)
                better = v > best[c]
                best[c] = v if better else best[c]
                who[c] = j if better else who[c]
        for c in range(channels):
            out[i, c] = best[c]
            winner[i, c] = who[c]


@njit(cache=True)
def _edge_max_backward(g, positions, neighbours, inverse, winner, da, dp):
    n = neighbours.shape[0]
    k = neighbours.shape[1]
    channels = g.shape[1]
    d = np.empty((k, 3), np.float32)
    for i in range(n):
        for j in range(k):
            q = neighbours[i, j]
            for axis in range(3):
                d[j, axis] = (positions[q, axis] - positions[i, axis]) * inverse
        for c in range(channels):
            v = g[i, c]
            j = winner[i, c]
            da[neighbours[i, j], c] += v
            dp[0, c] += v * d[j, 0]
            dp[1, c] += v * d[j, 1]
            dp[2, c] += v * d[j, 2]


class EdgeMax(torch.autograd.Function):
    """max_j(a_j + P (p_j - p_i) / s): `a [n, c]`, `weight [c, 3]`; 0 where the neighbour list is empty."""

    @staticmethod
    def forward(ctx, a, weight, positions, neighbours, size):
        inverse = np.float32(1.0 / size)
        a = a.contiguous()
        p = weight.detach().t().contiguous()
        out = torch.zeros_like(a)
        winner = torch.zeros(a.shape, dtype=torch.uint8)
        if neighbours.shape[1]:
            _edge_max(a.numpy(), p.numpy(), positions.numpy(), neighbours.numpy(), inverse, out.numpy(), winner.numpy())
        ctx.save_for_backward(positions, neighbours, winner)
        ctx.inverse = inverse
        return out

    @staticmethod
    def backward(ctx, g):
        positions, neighbours, winner = ctx.saved_tensors
        g = g.contiguous()
        da, dp = torch.zeros_like(g), torch.zeros(3, g.shape[1])
        if neighbours.shape[1]:
            _edge_max_backward(
                g.numpy(), positions.numpy(), neighbours.numpy(), ctx.inverse, winner.numpy(), da.numpy(), dp.numpy()
            )
        return da, dp.t(), None, None, None


@njit(cache=True)
def _pool(h, parent, out, winner):
    for i in range(h.shape[0]):
        q = parent[i]
        for c in range(h.shape[1]):
            if h[i, c] > out[q, c]:
                out[q, c] = h[i, c]
                winner[q, c] = i


@njit(cache=True)
def _pool_backward(g, winner, dh):
    for q in range(g.shape[0]):
        for c in range(g.shape[1]):
            dh[winner[q, c], c] += g[q, c]


class PoolMax(torch.autograd.Function):
    """Element-wise maximum over the children of each node of the next level."""

    @staticmethod
    def forward(ctx, h, parent, count):
        h = h.contiguous()
        out = torch.full((count, h.shape[1]), -3.4e38)
        winner = torch.zeros(out.shape, dtype=torch.int32)
        _pool(h.numpy(), parent.numpy(), out.numpy(), winner.numpy())
        ctx.save_for_backward(winner)
        ctx.children = h.shape[0]
        return out

    @staticmethod
    def backward(ctx, g):
        (winner,) = ctx.saved_tensors
        dh = torch.zeros(ctx.children, g.shape[1])
        _pool_backward(g.contiguous().numpy(), winner.numpy(), dh.numpy())
        return dh, None, None


@njit(cache=True)
def _scatter_add(g, parent, out):
    for i in range(g.shape[0]):
        q = parent[i]
        for c in range(g.shape[1]):
            out[q, c] += g[i, c]


class Lift(torch.autograd.Function):
    """u[parent]: each node takes the row of its node in the next level."""

    @staticmethod
    def forward(ctx, u, parent):
        ctx.save_for_backward(parent)
        ctx.rows = u.shape[0]
        return u[parent]

    @staticmethod
    def backward(ctx, g):
        (parent,) = ctx.saved_tensors
        out = torch.zeros(ctx.rows, g.shape[1])
        _scatter_add(g.contiguous().numpy(), parent.numpy(), out.numpy())
        return out, None


class Bias(nn.Module):
    """What a folded normalisation leaves behind."""

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return x + self.bias


def norm(channels, folded):
    return Bias(channels) if folded else nn.BatchNorm1d(channels, momentum=0.05)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Block(nn.Module):
    def __init__(self, channels, folded):
        super().__init__()
        self.root, self.nbr, self.out = (linear(channels, channels) for _ in range(3))
        self.pos = linear(3, channels)
        self.norm, self.out_norm = norm(channels, folded), norm(channels, folded)

    def forward(self, h, level, size):
        messages = EdgeMax.apply(self.nbr(h), self.pos.weight, level["positions"], level["neighbours"], size)
        t = torch.relu(self.norm(self.root(h) + messages))
        return torch.relu(h + self.out_norm(self.out(t)))


class Dense(nn.Module):
    """relu(norm(W x))."""

    def __init__(self, inputs, outputs, folded):
        super().__init__()
        self.linear, self.norm = linear(inputs, outputs), norm(outputs, folded)

    def forward(self, x):
        return torch.relu(self.norm(self.linear(x)))


class Decode(nn.Module):
    def __init__(self, inputs, above, outputs, folded):
        super().__init__()
        self.skip, self.up, self.norm = linear(inputs, outputs), linear(above, outputs), norm(outputs, folded)

    def forward(self, h, u, parent):
        return torch.relu(self.norm(self.skip(h) + Lift.apply(self.up(u), parent)))


class GraphUNet(nn.Module):
    """`forward(levels)` takes `tensors(pyramid)` and gives logits `[level-0 nodes, classes]`."""

    def __init__(self, config, folded=False, dropout=0.0):
        super().__init__()
        self.config = config
        levels, channels = config["levels"], config["channels"]
        decoder = config["dec_channels"]
        per_level = GEOMETRY + len(config["columns"])
        self.stem = Dense(per_level + len(config["inputs"]), channels[0], folded)
        self.enter = nn.ModuleList(
            Dense(channels[l - 1] + per_level, channels[l], folded) if l else nn.Identity() for l in range(levels)
        )
        self.encoder = nn.ModuleList(
            nn.ModuleList(Block(channels[l], folded) for _ in range(config["blocks"][l])) for l in range(levels)
        )
        above = decoder + [channels[-1]]
        self.decode = nn.ModuleList(
            Decode(channels[l], above[l + 1], decoder[l], folded) for l in range(levels - 1)
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList(Block(decoder[l], folded) for _ in range(config["dec_blocks"][l])) for l in range(levels - 1)
        )
        self.head = Dense(decoder[0], config["head"], folded)
        self.dropout = nn.Dropout(dropout)
        self.classes = nn.Linear(config["head"], len(config["classes"]))

    def forward(self, levels):
        s0 = self.config["s0"]
        h, skips = self.stem(levels[0]["features"]), []
        for l, level in enumerate(levels):
            if l:
                pooled = PoolMax.apply(h, levels[l - 1]["parent"], len(level["positions"]))
                h = self.enter[l](torch.cat([pooled, level["features"]], 1))
            for block in self.encoder[l]:
                h = block(h, level, s0 * 2**l)
            skips.append(h)
        for l in reversed(range(len(levels) - 1)):
            h = self.decode[l](skips[l], h, levels[l]["parent"])
            for block in self.decoder[l]:
                h = block(h, levels[l], s0 * 2**l)
        return self.classes(self.dropout(self.head(h)))

    def keep_scales_positive(self):
        """A negative scale in front of a maximum could not be folded into the terms under it."""
        for module in self.modules():
            if isinstance(module, Block) and isinstance(module.norm, nn.BatchNorm1d):
                module.norm.weight.data.clamp_(min=1e-3)


def tensors(pyramid):
    return [
        {
            "positions": torch.from_numpy(level.positions),
            "neighbours": torch.from_numpy(level.neighbours),
            "features": torch.from_numpy(level.features),
            "parent": torch.from_numpy(level.parent),
        }
        for level in pyramid.levels
    ]


def _fold(normalisation):
    """`(scale, bias)` of a normalisation layer, f64."""
    if isinstance(normalisation, Bias):
        return torch.ones_like(normalisation.bias).double(), normalisation.bias.double()
    scale = normalisation.weight.double() / torch.sqrt(normalisation.running_var.double() + normalisation.eps)
    return scale, normalisation.bias.double() - normalisation.running_mean.double() * scale


def folded_weights(model):
    """The exported tensors by name, f32."""
    out = {}

    def put(name, module, normalisation, bias=True):
        scale, shift = _fold(normalisation)
        out[f"{name}.weight"] = (module.weight.double() * scale[:, None]).float().contiguous()
        if bias:
            out[f"{name}.bias"] = shift.float().contiguous()

    def put_block(name, block):
        put(f"{name}.root", block.root, block.norm)
        put(f"{name}.nbr", block.nbr, block.norm, bias=False)
        put(f"{name}.pos", block.pos, block.norm, bias=False)
        put(f"{name}.out", block.out, block.out_norm)

    with torch.no_grad():
        put("stem", model.stem.linear, model.stem.norm)
        for l, blocks in enumerate(model.encoder):
            if l:
                put(f"enc.{l}.in", model.enter[l].linear, model.enter[l].norm)
            for b, block in enumerate(blocks):
                put_block(f"enc.{l}.block.{b}", block)
        for l, blocks in enumerate(model.decoder):
            put(f"dec.{l}.skip", model.decode[l].skip, model.decode[l].norm)
            put(f"dec.{l}.up", model.decode[l].up, model.decode[l].norm, bias=False)
            for b, block in enumerate(blocks):
                put_block(f"dec.{l}.block.{b}", block)
        put("head.0", model.head.linear, model.head.norm)
        out["head.1.weight"] = model.classes.weight.float().clone()
        out["head.1.bias"] = model.classes.bias.float().clone()
    return out


def export(model, path, extra, bare=None):
    """Writes the safetensors file; metadata `thalweg` is the configuration and `extra` as JSON.

    `bare` are the folded weights for frames without intensity, where they have statistics of their own.
    """
    weights = folded_weights(model)
    if bare is not None:
        extra = {**extra, "without_intensity": True}
        weights |= {f"{BARE}.{name}": tensor for name, tensor in bare.items()}
    text = json.dumps({"architecture": "GraphUNet", **model.config, **extra}, sort_keys=True)
    save_file(weights, path, metadata={"thalweg": text})


# begins the names of the weights for frames without intensity
BARE = "without_intensity"


def has_intensity(levels, config):
    """Whether the frame has intensity, as its features say."""
    if "has_intensity" not in config["inputs"]:
        return True
    column = GEOMETRY + len(config["columns"]) + config["inputs"].index("has_intensity")
    return bool((levels[0]["features"][:, column] != 0).any())


class ByIntensity(nn.Module):
    """Two sets of weights: which of them answers is the frame's to say."""

    def __init__(self, with_intensity, without, config):
        super().__init__()
        self.sets, self.config = nn.ModuleList([without, with_intensity]), config

    def forward(self, levels):
        return self.sets[has_intensity(levels, self.config)](levels)


def load(path):
    """An exported network, ready to run: `(model, configuration)`."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["thalweg"])
        weights = {name: file.get_tensor(name) for name in file.keys()}
    bare = {name.removeprefix(f"{BARE}."): weights.pop(name) for name in list(weights) if name.startswith(f"{BARE}.")}
    model = from_weights(path, config, weights)
    if bare:
        model = ByIntensity(model, from_weights(path, config, bare), config).eval()
    return model, config


def from_weights(path, config, weights):
    model = GraphUNet(config, folded=True).eval()

    def take(name, module, normalisation=None):
        module.weight.data.copy_(weights.pop(f"{name}.weight"))
        if normalisation is not None:
            normalisation.bias.data.copy_(weights.pop(f"{name}.bias"))

    def take_block(name, block):
        take(f"{name}.root", block.root, block.norm)
        take(f"{name}.nbr", block.nbr)
        take(f"{name}.pos", block.pos)
        take(f"{name}.out", block.out, block.out_norm)

    take("stem", model.stem.linear, model.stem.norm)
    for l, blocks in enumerate(model.encoder):
        if l:
            take(f"enc.{l}.in", model.enter[l].linear, model.enter[l].norm)
        for b, block in enumerate(blocks):
            take_block(f"enc.{l}.block.{b}", block)
    for l, blocks in enumerate(model.decoder):
        take(f"dec.{l}.skip", model.decode[l].skip, model.decode[l].norm)
        take(f"dec.{l}.up", model.decode[l].up)
        for b, block in enumerate(blocks):
            take_block(f"dec.{l}.block.{b}", block)
    take("head.0", model.head.linear, model.head.norm)
    take("head.1", model.classes)
    model.classes.bias.data.copy_(weights.pop("head.1.bias"))
    if weights:
        raise ValueError(f"{path}: tensors without a place: {sorted(weights)}")
    return model
