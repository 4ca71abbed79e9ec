"""Writes the parity fixtures under tests/fixtures: small graphs, weights and what PyTorch Geometric computes on them.

    python training/fixtures.py

`layers.safetensors`: SAGEConv (mean, max), EdgeConv (one linear layer) and PointNetConv (one linear layer) with their
weights under PyG's state_dict names, edges `[2, e]` as (src, dst), and outputs. `graph_unet_*.safetensors`: a cloud, a
network with random weights, and per level its nodes, neighbour lists, parents, features, and the logits, the block's
layer computed by PyG's PointNetConv. Everything is computed in f64 from f32 inputs and written as f32.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch_geometric.nn import EdgeConv, PointNetConv, SAGEConv

from graph import build_pyramid, knn_exact
from network import GraphUNet, folded_weights

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures"

TINY = {
    "levels": 3, "s0": 0.25, "k": 6, "channels": [8, 12, 16], "blocks": [1, 2, 1], "dec_channels": [8, 10],
    "dec_blocks": [1, 0], "head": 8, "columns": [1.5, 6.0], "hag_scale": 4.0,
    "inputs": ["z", "above_ground", "range", "intensity", "has_intensity"],
    "input_scales": [0.25, 0.25, 0.015625, 1.0, 1.0],
    "classes": [{"id": 1, "name": "car"}, {"id": 9, "name": "road"}, {"id": 13, "name": "building"}],
    "temperature": 1.25, "licence": "synthetic", "trained_on": "random weights",
}


def cloud(rng, n):
    """Ground with a slope, a wall, a blob, and a few far lone points; voxel faces and duplicates included."""
    ground = np.stack([rng.uniform(-6, 6, n // 2), rng.uniform(-6, 6, n // 2), rng.normal(-1.7, 0.02, n // 2)], 1)
    ground[:, 2] += 0.05 * ground[:, 0]
    wall = np.stack([rng.uniform(-4, 4, n // 4), np.full(n // 4, 4.0), rng.uniform(-1.7, 1.5, n // 4)], 1)
    blob = rng.normal([2, -1, -0.8], 0.5, (n - n // 2 - n // 4 - 10, 3))
    lone = rng.uniform(-30, 30, (8, 3))
    points = np.concatenate([ground, wall, blob, lone, blob[:2]]).astype(np.float32)
    points[:20] = np.round(points[:20] * 4) / 4
    return points[rng.permutation(len(points))]


def edges(neighbours):
    n, k = neighbours.shape
    return torch.stack([torch.from_numpy(neighbours.astype(np.int64)).reshape(-1), torch.arange(n).repeat_interleave(k)])


def reference_logits(config, weights, pyramid):
    """The network again, in f64, with PyG's layer."""
    w = {name: tensor.double() for name, tensor in weights.items()}

    def linear(name, x):
        return x @ w[f"{name}.weight"].t() + w.get(f"{name}.bias", 0.0)

    def block(name, h, level, size):
        channels = h.shape[1]
        local = torch.nn.Linear(channels + 3, channels, bias=False).double()
        conv = PointNetConv(local_nn=local, add_self_loops=False)  # resets the weights, so they are set after it
        local.weight.data = torch.cat([w[f"{name}.nbr.weight"], w[f"{name}.pos.weight"]], 1)
        position = torch.from_numpy(level.positions).double() / size
        t = torch.relu(linear(f"{name}.root", h) + conv(h, position, edges(level.neighbours)))
        return torch.relu(h + linear(f"{name}.out", t))

    levels = pyramid.levels
    h, skips = torch.relu(linear("stem", torch.from_numpy(levels[0].features).double())), []
    for l, level in enumerate(levels):
        if l:
            parent = torch.from_numpy(levels[l - 1].parent.astype(np.int64))
            pooled = torch.full((len(level.positions), h.shape[1]), -torch.inf, dtype=torch.float64)
            pooled = pooled.scatter_reduce(0, parent[:, None].expand_as(h), h, "amax")
            h = torch.relu(linear(f"enc.{l}.in", torch.cat([pooled, torch.from_numpy(level.features).double()], 1)))
        for b in range(config["blocks"][l]):
            h = block(f"enc.{l}.block.{b}", h, level, config["s0"] * 2**l)
        skips.append(h)
    for l in reversed(range(len(levels) - 1)):
        parent = torch.from_numpy(levels[l].parent.astype(np.int64))
        h = torch.relu(linear(f"dec.{l}.skip", skips[l]) + linear(f"dec.{l}.up", h)[parent])
        for b in range(config["dec_blocks"][l]):
            h = block(f"dec.{l}.block.{b}", h, levels[l], config["s0"] * 2**l)
    return linear("head.1", torch.relu(linear("head.0", h)))


def write_graph_unet(name, seed, n):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    points = cloud(rng, n) if n > 20 else rng.normal(0, 3, (n, 3)).astype(np.float32)
    intensity = rng.uniform(0, 1, len(points)).astype(np.float32)
    extras = {"intensity": intensity, "has_intensity": np.ones(len(points), np.float32)}
    pyramid = build_pyramid(points, extras, TINY, neighbours_of=knn_exact)
    model = GraphUNet(TINY, folded=True)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(0, 0.1)
    weights = folded_weights(model)
    out = {f"weights.{key}": value for key, value in weights.items()}
    out["points"], out["intensity"] = torch.from_numpy(points), torch.from_numpy(intensity)
    out["node_of"] = torch.from_numpy(pyramid.node_of)
    for l, level in enumerate(pyramid.levels):
        out[f"level.{l}.points"] = torch.from_numpy(level.points)
        out[f"level.{l}.parent"] = torch.from_numpy(level.parent)
        out[f"level.{l}.neighbours"] = torch.from_numpy(level.neighbours)
        out[f"level.{l}.features"] = torch.from_numpy(level.features)
    out["logits"] = reference_logits(TINY, weights, pyramid).detach().float()
    save_file({k: v.contiguous() for k, v in out.items()}, OUT / name,
              metadata={"thalweg": json.dumps({"architecture": "GraphUNet", **TINY}, sort_keys=True)})


def write_layers():
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    n, channels, outputs = 60, 8, 12
    x, position = torch.randn(n, channels), torch.randn(n, 3)
    src, dst = rng.integers(0, n, 400), rng.integers(0, n - 5, 400)  # the last five nodes receive nothing
    edge_index = torch.from_numpy(np.unique(np.stack([dst, src], 1), axis=0)[:, ::-1].T.astype(np.int64).copy())
    out = {"x": x, "position": position, "edge_index": edge_index.int()}

    def record(name, layer, *arguments):
        for key, value in layer.state_dict().items():
            out[f"{name}.{key}"] = value.clone()
        out[f"{name}.output"] = layer.double()(*arguments).detach().float()

    record("sage_mean", SAGEConv(channels, outputs, aggr="mean"), x.double(), edge_index)
    record("sage_max", SAGEConv(channels, outputs, aggr="max"), x.double(), edge_index)
    record("edge_conv", EdgeConv(torch.nn.Linear(2 * channels, outputs), aggr="max"), x.double(), edge_index)
    local = torch.nn.Linear(channels + 3, outputs)
    record("point_net", PointNetConv(local_nn=local, add_self_loops=False), x.double(), position.double(), edge_index)
    save_file({k: v.contiguous() for k, v in out.items()}, OUT / "layers.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write_layers()
    write_graph_unet("graph_unet_600.safetensors", 1, 600)
    write_graph_unet("graph_unet_5.safetensors", 2, 5)
    write_graph_unet("graph_unet_1.safetensors", 3, 1)
