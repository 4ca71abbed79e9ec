"""What a network may be made of: for each layer of PyTorch and PyTorch Geometric, how it stands in the file.

`LAYERS` has one entry a class: the arguments of `forward` that are values, and the arguments of the constructor. `FUNCTIONS`
has the activations that are called as functions or methods. `REFUSED` says why the rest cannot be expressed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch_geometric.nn as gnn
from torch import nn
from torch_geometric.nn.models.schnet import CFConv, ShiftedSoftplus

from equivariant import E_GCL, PaiNNInteraction, PaiNNMixing

AGGREGATIONS = ("add", "mean", "max")


class ExportError(Exception):
    """A module or function that the file cannot express, named with its place in `forward`."""


@dataclass(frozen=True)
class Layer:
    """One class of modules."""

    args: Callable[[nn.Module], dict]  # the constructor's arguments, by its own names
    inputs: tuple[str, ...] = ("x",)  # the arguments of forward that are values, in the file's order
    nested: tuple[str, ...] = ()  # attributes that hold a network of their own, run on rows
    widths: Callable[[dict, dict], dict] = lambda args, nested: {}  # channels of inputs, beyond `in_channels` and `edge_dim`
    check: Callable[[dict, dict], None] = lambda args, nested: None  # of nested networks: `(layers, channels in, channels out)`
    aggregations: tuple[str, ...] = ()  # what `aggr` may be; the first is the default
    ignored: tuple[str, ...] = ()  # other arguments of forward that change nothing
    unused: Callable[[nn.Module], tuple[str, ...]] = lambda module: ()  # parameters that forward does not look at
    outputs: int = 1  # matrices that forward returns
    name: str = ""  # in the file; the class's own where empty
    tensors: str = ""  # the attribute that holds the tensors, the module itself where empty


def columns(linear):
    """Input channels of a linear layer, from its weight: a lazy one has no other."""
    return linear.weight.shape[1]


def has(tensor):
    return tensor is not None


def linear(m):
    return {"in_channels": m.weight.shape[1], "out_channels": m.weight.shape[0], "bias": has(m.bias)}


def attributes(*names):
    return lambda m: {name: getattr(m, name) for name in names}


def attention(m, first):
    return {
        "in_channels": columns(first), "out_channels": m.out_channels, "heads": m.heads, "concat": m.concat,
        "negative_slope": m.negative_slope, "add_self_loops": m.add_self_loops, "edge_dim": m.edge_dim,
        "fill_value": m.fill_value, "residual": m.residual, "bias": has(m.bias),
    }


def fill_value(args):
    """The argument `fill_value` as the file has it: it is of no account where no edge with features is added."""
    fill = args["fill_value"]
    if args["edge_dim"] is None or not args["add_self_loops"] or (isinstance(fill, str) and fill == "mean"):
        return "mean"
    if isinstance(fill, (int, float)):
        return float(fill)
    what = "a tensor" if isinstance(fill, torch.Tensor) else repr(fill)
    raise ExportError(f'fill_value is {what}; "mean" and a number can be expressed')


def one_kind(m):
    if m.lin is None:
        raise ExportError("in_channels is a pair (bipartite message passing), and the file knows one kind of nodes")
    return m.lin


def batch_norm(m):
    if m.running_mean is None:
        raise ExportError("it has no running statistics, so a row would depend on the other rows")
    if not (m.running_var + m.eps > 0).all():
        raise ExportError(f"a channel's running variance and eps={m.eps} add up to nothing above 0")
    return {"in_channels": m.num_features, "eps": m.eps}


def above_zero(name, value):
    if not value > 0:
        raise ExportError(f"{name} is {value}, and a number above 0 is supported")
    return value


def layer_norm(m):
    if len(m.normalized_shape) != 1:
        raise ExportError(f"normalized_shape is {list(m.normalized_shape)}, and only one dimension is supported")
    return {"in_channels": m.normalized_shape[0], "eps": above_zero("eps", m.eps)}


def node_norm(m):
    if m.mode != "node":
        raise ExportError('with mode="graph" a row would depend on all other rows; use mode="node"')
    return {"in_channels": m.in_channels, "eps": above_zero("eps", m.eps)}


def softplus(m):
    if m.beta == 0:
        raise ExportError("beta is 0, and another number is supported")
    return {"beta": m.beta, "threshold": m.threshold}


def cg_conv(m):
    if m.batch_norm:
        batch_norm(m.bn)
        if m.bn.weight is None or m.bn.eps != 1e-5:
            raise ExportError("its batch norm was changed; the one that CGConv makes is supported")
    return {
        "channels": m.lin_f.weight.shape[0], "dim": m.dim, "batch_norm": m.batch_norm, "bias": has(m.lin_f.bias),
    }


def mixing(m):
    if m.epsilon < 0:
        raise ExportError(f"epsilon is {m.epsilon}, and 0 or more is supported")
    return {"n_atom_basis": m.n_atom_basis, "epsilon": m.epsilon}


def point_net(args, nested):
    rows = nested["local_nn"][0] if "local_nn" in nested else []
    if not rows or rows[0]["layer"] != "Linear":
        raise ExportError("its local_nn must begin with a Linear of in_channels + 3")


def point_transformer(args, nested):
    out = args["out_channels"]
    for name, takes in (("pos_nn", 3), ("attn_nn", out)):
        if name in nested and nested[name][1:] != (takes, out):
            raise ExportError(f"its {name} goes from {nested[name][1]} to {nested[name][2]} channels; {takes} to {out} is supported")


def embedding(m):
    if m.max_norm is not None:
        raise ExportError("max_norm changes the weights while it runs")
    return {"num_embeddings": m.num_embeddings, "embedding_dim": m.embedding_dim}


def prelu(m):
    if m.weight.numel() != 1:
        raise ExportError("it has a slope a channel, and one slope is supported")
    return {}


def on_rows(layer, names=()):
    """A layer of torch.nn that works on each row alone, with these arguments."""
    return Layer(attributes(*names), inputs=("input",), name=layer)


def half(width):
    if width % 2:
        raise ExportError(f"its nn takes {width} channels, which is no even number")
    return width // 2


def vectors(args):
    return {"q": args["n_atom_basis"], "mu": 3 * args["n_atom_basis"]}


EDGES = ("x", "edge_attr")
POOL = {"args": lambda m: {}, "ignored": ("dim",)}

LAYERS = {
    gnn.GCNConv: Layer(
        lambda m: {
            "in_channels": columns(m.lin), "out_channels": m.out_channels, "improved": m.improved,
            "add_self_loops": m.add_self_loops and m.normalize, "normalize": m.normalize, "bias": has(m.bias),
        },
        inputs=("x", "edge_weight"), aggregations=("add",),
    ),
    gnn.SAGEConv: Layer(
        lambda m: {
            "in_channels": columns(m.lin_l), "out_channels": m.out_channels, "normalize": m.normalize,
            "root_weight": m.root_weight, "project": m.project, "bias": has(m.lin_l.bias),
        },
        aggregations=("mean", "add", "max"),
    ),
    gnn.GraphConv: Layer(
        lambda m: {"in_channels": columns(m.lin_rel), "out_channels": m.out_channels, "bias": has(m.lin_rel.bias)},
        inputs=("x", "edge_weight"), aggregations=AGGREGATIONS,
    ),
    gnn.GATConv: Layer(lambda m: attention(m, one_kind(m)), inputs=EDGES, aggregations=("add",)),
    gnn.GATv2Conv: Layer(lambda m: attention(m, m.lin_l), inputs=EDGES, aggregations=("add",)),
    gnn.TransformerConv: Layer(
        lambda m: {
            "in_channels": columns(m.lin_key), "out_channels": m.out_channels, "heads": m.heads, "concat": m.concat,
            "beta": m.beta, "edge_dim": m.edge_dim, "root_weight": m.root_weight, "bias": has(m.lin_key.bias),
        },
        inputs=EDGES, aggregations=("add",), unused=lambda m: () if m.root_weight else ("lin_skip",),
    ),
    gnn.GINConv: Layer(lambda m: {}, nested=("nn",), widths=lambda args, nn: {"x": nn["nn"]}, aggregations=("add",)),
    gnn.GINEConv: Layer(
        lambda m: {"edge_dim": columns(m.lin) if m.lin is not None else None},
        inputs=EDGES, nested=("nn",), widths=lambda args, nn: {"x": nn["nn"], "edge_attr": args["edge_dim"] or nn["nn"]},
        aggregations=("add",),
    ),
    gnn.EdgeConv: Layer(
        lambda m: {}, nested=("nn",), widths=lambda args, nn: {"x": half(nn["nn"])}, aggregations=("max", "add", "mean")
    ),
    gnn.PointNetConv: Layer(
        lambda m: {"add_self_loops": m.add_self_loops}, inputs=("x", "pos"), nested=("local_nn", "global_nn"), check=point_net,
        widths=lambda args, nn: {"x": nn["local_nn"] - 3, "pos": 3} if "local_nn" in nn else {"pos": 3},
        aggregations=("max", "add", "mean"),
    ),
    gnn.PointTransformerConv: Layer(
        lambda m: {
            "in_channels": columns(m.lin), "out_channels": m.out_channels, "add_self_loops": m.add_self_loops,
        },
        inputs=("x", "pos"), nested=("pos_nn", "attn_nn"), widths=lambda args, nn: {"pos": nn["pos_nn"]},
        aggregations=("add",), check=point_transformer,
    ),
    gnn.NNConv: Layer(
        lambda m: {
            "in_channels": m.in_channels_l, "out_channels": m.out_channels, "root_weight": m.root_weight,
            "bias": has(m.bias),
        },
        inputs=EDGES, nested=("nn",), widths=lambda args, nn: {"edge_attr": nn["nn"]}, aggregations=AGGREGATIONS,
    ),
    gnn.CGConv: Layer(
        cg_conv, inputs=EDGES, widths=lambda args, nn: {"x": args["channels"], "edge_attr": args["dim"]}, aggregations=AGGREGATIONS,
    ),
    CFConv: Layer(
        lambda m: {
            "in_channels": columns(m.lin1), "out_channels": m.lin2.weight.shape[0], "num_filters": columns(m.lin2),
            "cutoff": above_zero("cutoff", m.cutoff),
        },
        inputs=("x", "edge_weight", "edge_attr"), nested=("nn",), widths=lambda args, nn: {"edge_attr": nn["nn"]},
        aggregations=("add",),
    ),
    E_GCL: Layer(
        attributes("input_nf", "output_nf", "hidden_nf", "edges_in_d", "act_fn", "residual", "attention", "normalize",
                   "coords_agg", "tanh"),
        inputs=("h", "pos", "edge_attr"), outputs=2,
        widths=lambda args, nn: {"h": args["input_nf"], "pos": 3} | (
            {"edge_attr": args["edges_in_d"]} if args["edges_in_d"] else {}),
    ),
    PaiNNInteraction: Layer(
        attributes("n_atom_basis"), inputs=("q", "mu", "filters", "directions"), outputs=2,
        widths=lambda args, nn: {**vectors(args), "filters": 3 * args["n_atom_basis"], "directions": 3},
    ),
    PaiNNMixing: Layer(
        mixing, inputs=("q", "mu"), outputs=2, widths=lambda args, nn: vectors(args)
    ),
    nn.Linear: Layer(linear, inputs=("input",)),
    gnn.Linear: Layer(linear),
    nn.ReLU: on_rows("ReLU"),
    nn.LeakyReLU: on_rows("LeakyReLU", ["negative_slope"]),
    nn.ELU: on_rows("ELU", ["alpha"]),
    nn.GELU: on_rows("GELU", ["approximate"]),
    nn.SiLU: on_rows("SiLU"),
    nn.Sigmoid: on_rows("Sigmoid"),
    nn.Tanh: on_rows("Tanh"),
    nn.Softplus: Layer(softplus, inputs=("input",)),
    nn.PReLU: Layer(prelu, inputs=("input",)),
    nn.Softmax: on_rows("Softmax"),
    nn.LogSoftmax: on_rows("LogSoftmax"),
    ShiftedSoftplus: Layer(lambda m: {}),
    nn.BatchNorm1d: Layer(batch_norm, inputs=("input",), name="BatchNorm"),
    gnn.BatchNorm: Layer(lambda m: batch_norm(m.module), tensors="module"),
    nn.LayerNorm: Layer(layer_norm, inputs=("input",)),
    gnn.LayerNorm: Layer(node_norm, ignored=("batch", "batch_size")),
    nn.Embedding: Layer(embedding, inputs=("input",)),
    nn.GRUCell: Layer(
        attributes("input_size", "hidden_size"), inputs=("input", "hx"),
        widths=lambda args, nn: {"input": args["input_size"], "hx": args["hidden_size"]},
    ),
    gnn.SumAggregation: Layer(name="global_add_pool", **POOL),
    gnn.MeanAggregation: Layer(name="global_mean_pool", **POOL),
    gnn.MaxAggregation: Layer(name="global_max_pool", **POOL),
}
POOLS = ("global_add_pool", "global_mean_pool", "global_max_pool")

# Steps that a network inside a layer cannot have, in words.
NOT_NESTED = {"Scale": "a product with a number", "Shift": "a sum with a number", "Columns": "a slice of the channels"}

# Modules that hand their first argument on.
IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout)

# Functions and methods of one value: the layer, and its arguments in order with their defaults.
FUNCTIONS = {
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("GELU", {"approximate": "none"}),
    "silu": ("SiLU", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 20.0}),
    "softmax": ("Softmax", {"dim": None}),
    "log_softmax": ("LogSoftmax", {"dim": None}),
}

OTHER_ROWS = "a row would depend on the other rows, so a change of one node would reach all"
SELECTION = "it keeps some nodes only, and the file knows one graph"
REFUSED = {
    **dict.fromkeys(
        ["GraphNorm", "InstanceNorm", "InstanceNorm1d", "PairNorm", "DiffGroupNorm", "MeanSubtractionNorm", "GraphSizeNorm"],
        OTHER_ROWS,
    ),
    **dict.fromkeys(["TopKPooling", "SAGPooling", "ASAPooling", "EdgePooling", "ClusterPooling", "PANPooling"], SELECTION),
    "DynamicEdgeConv": "it makes a graph of its own; give the graph as edges and use EdgeConv",
    "LSTM": "its result depends on an order of the rows",
    "LSTMAggregation": "its result depends on the order of the edges",
    "add_self_loops": "edge_index must reach each layer unchanged; GCNConv and GATConv add self-loops themselves, "
                      "and for others write them into the table of edges",
    "remove_self_loops": "edge_index must reach each layer unchanged; leave self-loops out of the table of edges",
    "to_undirected": "edge_index must reach each layer unchanged; run with --set undirected=true",
    "dropout_edge": "edge_index must reach each layer unchanged; leave it out where self.training is false",
    "dropout_adj": "edge_index must reach each layer unchanged; leave it out where self.training is false",
    "mean": "over rows it is a read-out: use global_mean_pool; over channels there is no layer for it",
    "sum": "over rows it is a read-out: use global_add_pool; over channels there is no layer for it",
    "normalize": "there is no layer for it; SAGEConv(normalize=True) has it built in",
}


def tensors_of(module, layer):
    """The tensors of a module by the names they have in the file, relative to its prefix."""
    held = getattr(module, layer.tensors) if layer.tensors else module
    out = {key: tensor for key, tensor in held.state_dict().items() if not key.endswith("num_batches_tracked")}
    if isinstance(module, nn.GRUCell) and not module.bias:
        out |= {key: torch.zeros(3 * module.hidden_size) for key in ("bias_ih", "bias_hh")}
    norms = (nn.BatchNorm1d, gnn.BatchNorm, nn.LayerNorm, gnn.LayerNorm)
    if isinstance(module, norms):
        channels = layer.args(module)["in_channels"]
        out = {"weight": torch.ones(channels), "bias": torch.zeros(channels)} | out
    return out
