"""Writes tests/fixtures/layers/layers.safetensors: what PyTorch Geometric computes for every layer that we have.

    python training/layers.py

Metadata key `cases` is JSON: a list of {"name", "layer", "args", "inputs", "graph", "outputs"}. A case's weights are the tensors
`{name}.…` under the state_dict's names; its inputs and outputs are tensors too, inputs named `{graph}.{input}` or
`{name}/in{i}`, outputs `{name}/out{i}`. A graph is `{graph}.edge_index` `[2, e]`, rows source and destination, ascending by
destination, then source; `{graph}.batch` gives each node's graph. Results are computed in f64 from f32 numbers.

Graphs: `hub` has a hub of degree 200, isolated nodes, edges of nodes to themselves (one of them twice) and an edge that stands
there twice; `empty` has no edge; `none` has no node.

PyG has no public layer for EGNN and PaiNN: those of `equivariant.py` stand in.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch_geometric import nn as pyg
from torch_geometric.nn.models.schnet import CFConv, ShiftedSoftplus

from equivariant import E_GCL, PaiNNInteraction, PaiNNMixing

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "layers"
C, O, E = 6, 5, 3  # channels of nodes in and out, and of edges

tensors, cases = {}, []


def make_graphs():
    rng = np.random.default_rng(11)
    n = 230
    src, dst = list(rng.integers(0, n, 420)), list(rng.integers(0, n - 10, 420))  # the last ten receive nothing
    src += list(range(5, 205)) + [3, 3, 9, 40, 40, 77]
    dst += [100] * 200 + [3, 3, 9, 41, 41, 77]
    edges = np.stack([src, dst])
    edges = edges[:, np.lexsort((edges[0], edges[1]))]
    for name, nodes, index in [("hub", n, edges), ("empty", 4, edges[:, :0]), ("none", 0, edges[:, :0])]:
        e = index.shape[1]
        tensors[f"{name}.edge_index"] = torch.from_numpy(index.astype(np.int32))
        tensors[f"{name}.x"] = torch.randn(nodes, C)
        tensors[f"{name}.pos"] = torch.randn(nodes, 3)
        tensors[f"{name}.vectors"] = torch.randn(nodes, 3 * C)
        tensors[f"{name}.edge_attr"] = torch.randn(e, E)
        tensors[f"{name}.edge_wide"] = torch.randn(e, C)
        tensors[f"{name}.filters"] = torch.randn(e, 3 * C)
        tensors[f"{name}.direction"] = torch.nn.functional.normalize(torch.randn(e, 3), dim=1)
        tensors[f"{name}.edge_weight"] = torch.rand(e, 1) + 0.1
        tensors[f"{name}.batch"] = torch.from_numpy(np.sort(rng.integers(0, 5, nodes)).astype(np.int32))


make_graph_inputs = {"x", "pos", "vectors", "edge_attr", "edge_wide", "filters", "direction", "edge_weight"}


def add(name, layer, args, module, run, inputs, graphs=("hub", "empty", "none")):
    """A case a graph: `run(module, edge_index, *inputs)` gives the outputs."""
    if module is not None:
        randomise(module)
        for key, value in module.state_dict().items():
            tensors[f"{name}.{key}"] = value.clone().float() if value.is_floating_point() else value.clone()
        module = module.double().eval()
    for graph in graphs:
        index = tensors[f"{graph}.edge_index"].long()
        given = [tensors[f"{graph}.{i}"].double() for i in inputs]
        with torch.no_grad():
            out = run(module, index, *given)
        out = out if isinstance(out, tuple) else (out,)
        for i, o in enumerate(out):
            tensors[f"{name}/{graph}/out{i}"] = o.float()
        cases.append({"name": name, "layer": layer, "args": args, "graph": graph, "inputs": list(inputs), "outputs": len(out)})


def randomise(module):
    """Biases and attention vectors begin at zero or tiny in PyG: give them values that can be wrong."""
    for key, value in list(module.named_parameters()) + list(module.named_buffers()):
        if value.is_floating_point() and (value.dim() == 1 or "att" in key) and not key.endswith("eps"):
            value.data.normal_(0.3 if "running_var" in key else 0.0, 0.5)
            if "running_var" in key:
                value.data.abs_().add_(0.2)


def linear(prefix, i, o, bias=True):
    return {"layer": "Linear", "args": {"in_channels": i, "out_channels": o, "bias": bias}, "weights": prefix}


def mlp(prefix, i, hidden, o, act="ReLU", norm=False):
    """A Sequential and its list of layers."""
    layers = [nn.Linear(i, hidden)] + ([nn.BatchNorm1d(hidden)] if norm else []) + [getattr(nn, act)(), nn.Linear(hidden, o)]
    listed = [linear(f"{prefix}.0", i, hidden)]
    if norm:
        listed.append({"layer": "BatchNorm", "args": {"in_channels": hidden}, "weights": f"{prefix}.1"})
    listed.append({"layer": act, "args": {}})
    listed.append(linear(f"{prefix}.{len(layers) - 1}", hidden, o))
    return nn.Sequential(*layers), listed


def conv(name, layer, args, inputs=("x",), extra=None, module=None, more=None):
    """A layer of PyG whose arguments are those of the file, but for `more`, which take their place or are added."""
    kind = getattr(pyg, layer)
    made = kind(**{**args, **(more or {})})

    def run(m, index, x, *rest):
        rest = [r.squeeze(1) if i == "edge_weight" else r for i, r in zip(inputs[1:], rest)]
        if layer in ("PointNetConv", "PointTransformerConv"):
            return m(x, rest[0], index)
        return m(x, index, *rest)

    add(name, layer, args, made, run, inputs)


def neighbours():
    io = {"in_channels": C, "out_channels": O}
    wide = {"in_channels": C, "out_channels": 9}
    conv("gcn", "GCNConv", io)
    conv("gcn_wide", "GCNConv", wide)
    conv("gcn_weight", "GCNConv", io, ("x", "edge_weight"))
    conv("gcn_improved", "GCNConv", {**wide, "improved": True, "bias": False}, ("x", "edge_weight"))
    conv("gcn_loops", "GCNConv", {**io, "add_self_loops": False})
    conv("gcn_plain", "GCNConv", {**io, "normalize": False})
    conv("gcn_plain_weight", "GCNConv", {**io, "normalize": False}, ("x", "edge_weight"))
    for aggr in ["mean", "max", "add"]:
        conv(f"sage_{aggr}", "SAGEConv", {**io, "aggr": aggr})
        conv(f"graph_{aggr}", "GraphConv", {**io, "aggr": aggr})
        conv(f"graph_{aggr}_weight", "GraphConv", {**io, "aggr": aggr}, ("x", "edge_weight"))
    conv("sage_wide", "SAGEConv", wide)
    conv("sage_project", "SAGEConv", {**io, "project": True, "normalize": True, "root_weight": False})
    conv("sage_no_bias", "SAGEConv", {**io, "aggr": "sum", "bias": False})


def attention():
    io = {"in_channels": C, "out_channels": O}
    for layer, name in [("GATConv", "gat"), ("GATv2Conv", "gatv2")]:
        conv(name, layer, io)
        conv(f"{name}_heads", layer, {**io, "heads": 3, "negative_slope": 0.1, "residual": True})
        conv(f"{name}_mean", layer, {**io, "heads": 3, "concat": False, "bias": False})
        conv(f"{name}_edge", layer, {**io, "heads": 2, "edge_dim": E}, ("x", "edge_attr"))
        conv(f"{name}_edge_fill", layer, {**io, "edge_dim": E, "fill_value": 0.5}, ("x", "edge_attr"))
        conv(f"{name}_no_loops", layer, {**io, "add_self_loops": False, "edge_dim": E}, ("x", "edge_attr"))
    conv("gatv2_share", "GATv2Conv", {**io, "heads": 2, "share_weights": True})


def networks():
    net, listed = mlp("nn", C, 8, O, norm=True)
    conv("gin", "GINConv", {"nn": listed, "eps": 0.25, "train_eps": True}, more={"nn": net})
    net, listed = mlp("nn", C, 8, O)
    conv("gine", "GINEConv", {"nn": listed, "edge_dim": E}, ("x", "edge_attr"), more={"nn": net})
    net, listed = mlp("nn", C, 8, O)
    conv("gine_same", "GINEConv", {"nn": listed, "eps": 0.1}, ("x", "edge_wide"), more={"nn": net})
    for aggr in ["max", "mean", "add"]:
        conv(f"edge_{aggr}", "EdgeConv", {"nn": [linear("nn", 2 * C, O)], "aggr": aggr}, more={"nn": nn.Linear(2 * C, O)})
        net, listed = mlp("nn", 2 * C, 8, O)
        conv(f"edge_two_{aggr}", "EdgeConv", {"nn": listed, "aggr": aggr}, more={"nn": net})
    net = nn.Sequential(nn.Tanh(), nn.Linear(2 * C, O))
    listed = [{"layer": "Tanh"}, linear("nn.1", 2 * C, O)]
    conv("edge_tanh", "EdgeConv", {"nn": listed}, more={"nn": net})


def points():
    conv("point", "PointNetConv", {"local_nn": [linear("local_nn", C + 3, O)]}, ("x", "pos"),
         more={"local_nn": nn.Linear(C + 3, O)})
    conv("point_no_loops", "PointNetConv", {"local_nn": [linear("local_nn", C + 3, O)], "add_self_loops": False}, ("x", "pos"),
         more={"local_nn": nn.Linear(C + 3, O)})
    for aggr in ["max", "mean", "add"]:
        local, listed = mlp("local_nn", C + 3, 8, 7)
        whole, listed_whole = mlp("global_nn", 7, 8, O)
        conv(f"point_{aggr}", "PointNetConv", {"local_nn": listed, "global_nn": listed_whole, "aggr": aggr}, ("x", "pos"),
             more={"local_nn": local, "global_nn": whole})
    local, listed = mlp("local_nn", 3, 8, O)
    add("point_alone", "PointNetConv", {"local_nn": listed}, pyg.PointNetConv(local_nn=local),
        lambda m, index, pos: m(None, pos, index), ("pos",))
    io = {"in_channels": C, "out_channels": O}
    conv("point_transformer", "PointTransformerConv", io, ("x", "pos"))
    pos, listed_pos = mlp("pos_nn", 3, 8, O)
    att, listed_att = mlp("attn_nn", O, 8, O)
    conv("point_transformer_nets", "PointTransformerConv",
         {**io, "pos_nn": listed_pos, "attn_nn": listed_att, "add_self_loops": False}, ("x", "pos"),
         more={"pos_nn": pos, "attn_nn": att})
    conv("transformer", "TransformerConv", io)
    conv("transformer_heads", "TransformerConv", {**io, "heads": 3, "beta": True})
    conv("transformer_mean", "TransformerConv", {**io, "heads": 2, "concat": False, "beta": True, "bias": False})
    conv("transformer_edge", "TransformerConv", {**io, "heads": 2, "edge_dim": E}, ("x", "edge_attr"))
    conv("transformer_rootless", "TransformerConv", {**io, "root_weight": False, "concat": False, "heads": 2})


def molecules():
    io = {"in_channels": C, "out_channels": O}
    for name, args in [("nn", {}), ("nn_mean", {"aggr": "mean", "bias": False}), ("nn_max", {"aggr": "max", "root_weight": False})]:
        net, listed = mlp("nn", E, 6, C * O)
        conv(name, "NNConv", {**io, **args, "nn": listed}, ("x", "edge_attr"), more={"nn": net})
    conv("cg", "CGConv", {"channels": C, "dim": E}, ("x", "edge_attr"))
    conv("cg_norm", "CGConv", {"channels": C, "batch_norm": True, "aggr": "mean", "bias": False})
    net = nn.Sequential(nn.Linear(E, 8), ShiftedSoftplus(), nn.Linear(8, 7))
    listed = [linear("nn.0", E, 8), {"layer": "ShiftedSoftplus"}, linear("nn.2", 8, 7)]
    add("cf", "CFConv", {**io, "num_filters": 7, "nn": listed, "cutoff": 0.9}, CFConv(C, O, 7, net, 0.9),
        lambda m, index, x, d, attr: m(x, index, d.squeeze(1), attr), ("x", "edge_weight", "edge_attr"))
    sizes = {"input_nf": C, "output_nf": C, "hidden_nf": 8}
    add("egnn", "E_GCL", sizes, E_GCL(**sizes), lambda m, index, h, pos: m(h, pos, index), ("x", "pos"))
    every = {**sizes, "output_nf": O, "edges_in_d": E, "residual": False, "attention": True, "normalize": True,
             "coords_agg": "sum", "tanh": True}
    add("egnn_all", "E_GCL", every, E_GCL(**every), lambda m, index, h, pos, attr: m(h, pos, index, attr),
        ("x", "pos", "edge_attr"))
    add("painn", "PaiNNInteraction", {"n_atom_basis": C}, PaiNNInteraction(C),
        lambda m, index, q, mu, *edges: m(q, mu, index, *edges), ("x", "vectors", "filters", "direction"))
    add("painn_mix", "PaiNNMixing", {"n_atom_basis": C}, PaiNNMixing(C), lambda m, _, *a: m(*a), ("x", "vectors"))


def row_wise():
    def plain(name, layer, args, module, inputs=("x",)):
        add(name, layer, args, module, lambda m, _, *given: m(*given), inputs, graphs=("hub",))

    plain("linear", "Linear", {"in_channels": C, "out_channels": O}, nn.Linear(C, O))
    plain("linear_no_bias", "Linear", {"in_channels": C, "out_channels": O, "bias": False}, nn.Linear(C, O, bias=False))
    for name, args in [("ReLU", {}), ("LeakyReLU", {"negative_slope": 0.3}), ("ELU", {"alpha": 1.5}), ("GELU", {}),
                       ("SiLU", {}), ("Sigmoid", {}), ("Tanh", {}), ("Softplus", {"beta": 2.0, "threshold": 1.5})]:
        plain(name, name, args, getattr(nn, name)(**args))
    plain("gelu_tanh", "GELU", {"approximate": "tanh"}, nn.GELU(approximate="tanh"))
    plain("shifted", "ShiftedSoftplus", {}, ShiftedSoftplus())
    plain("prelu", "PReLU", {}, nn.PReLU())
    plain("prelu_wide", "PReLU", {"num_parameters": C}, nn.PReLU(C))
    plain("softmax", "Softmax", {"dim": -1}, nn.Softmax(dim=-1))
    plain("log_softmax", "LogSoftmax", {}, nn.LogSoftmax(dim=-1))
    plain("batch_norm", "BatchNorm", {"in_channels": C}, nn.BatchNorm1d(C))
    plain("batch_norm_pyg", "BatchNorm", {"in_channels": C, "eps": 1e-3}, pyg.BatchNorm(C, eps=1e-3))
    plain("layer_norm", "LayerNorm", {"in_channels": C, "mode": "node"}, pyg.LayerNorm(C, mode="node"))
    plain("layer_norm_plain", "LayerNorm", {"in_channels": C, "affine": False, "eps": 1e-3},
          nn.LayerNorm(C, elementwise_affine=False, eps=1e-3))
    plain("gru", "GRUCell", {"input_size": C, "hidden_size": C}, nn.GRUCell(C, C), ("x", "edge_like"))
    tensors["hub.index"] = tensors["hub.batch"].float()[:, None].clone()
    plain_embedding = nn.Embedding(5, 4)
    add("embedding", "Embedding", {"num_embeddings": 5, "embedding_dim": 4}, plain_embedding,
        lambda m, _, i: m(i.long().squeeze(1)), ("index",), graphs=("hub",))
    one = "column"
    for name, f in [("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul), ("Div", torch.div)]:
        add(name, name, {}, None, lambda _, __, a, b, f=f: f(a, b), ("x", "edge_like"), graphs=("hub",))
        add(f"{name}_one", name, {}, None, lambda _, __, a, b, f=f: f(a, b), ("x", one), graphs=("hub",))
        add(f"{name}_first", name, {}, None, lambda _, __, a, b, f=f: f(a, b), (one, "x"), graphs=("hub",))
    add("max", "Max", {}, None, lambda _, __, *a: torch.stack(a).max(0).values, ("x", "edge_like"), graphs=("hub",))
    add("cat", "Cat", {}, None, lambda _, __, *a: torch.cat(a, -1), ("x", one, "pos"), graphs=("hub",))
    add("columns", "Columns", {"start": 1, "end": 4}, None, lambda _, __, a: a[:, 1:4], ("x",), graphs=("hub",))
    add("scale", "Scale", {"factor": 0.5}, None, lambda _, __, a: a * 0.5, ("x",), graphs=("hub",))
    add("shift", "Shift", {"offset": -0.25}, None, lambda _, __, a: a - 0.25, ("x",), graphs=("hub",))


def pools():
    for layer in ["global_add_pool", "global_mean_pool", "global_max_pool"]:
        for graph in ["hub", "none"]:
            batch = tensors[f"{graph}.batch"].long()
            add(layer, layer, {}, None, lambda _, __, x, b=batch: getattr(pyg, layer)(x, b, 6), ("x",), graphs=(graph,))


def main():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    make_graphs()
    tensors["hub.edge_like"] = torch.randn(230, C) + 0.1
    tensors["hub.column"] = torch.rand(230, 1) + 0.5
    neighbours()
    attention()
    networks()
    row_wise()
    pools()
    points()
    molecules()
    used = {f"{case['graph']}.{i}" for case in cases for i in case["inputs"]}
    drop = [key for key in tensors if key.split(".")[0] in ("hub", "empty", "none") and "/" not in key
            and key.split(".")[1] in make_graph_inputs and key not in used]
    for key in drop:
        del tensors[key]
    OUT.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / "layers.safetensors",
              metadata={"cases": json.dumps(cases, sort_keys=True)})
    print(len(cases), "cases,", (OUT / "layers.safetensors").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
