"""The export: what each layer becomes, and what is refused, by name.

    cd training && pytest test_export.py
"""

import json

import pytest
import torch
import torch.nn.functional as F
import torch_geometric.nn as gnn
from safetensors import safe_open
from torch import nn
from torch_geometric.nn.models.schnet import CFConv
from torch_geometric.utils import add_self_loops

from equivariant import E_GCL, PaiNNInteraction, PaiNNMixing
from export import ExportError, export


def exported(module, path, **options):
    """The file of a module: its description, and the shapes of its tensors."""
    export(module, path / "network.safetensors", **options)
    with safe_open(path / "network.safetensors", "pt") as file:
        return json.loads(file.metadata()["thalweg"]), {key: list(file.get_tensor(key).shape) for key in file.keys()}


def network(forward, **parts):
    """A module with this `forward` and these submodules."""
    module = type("Net", (nn.Module,), {"forward": forward})()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def test_a_small_network_is_the_file_of_the_format(tmp_path):
    def forward(self, x, edge_index):
        x = F.dropout(self.conv1(x, edge_index).relu(), training=self.training)
        return self.conv2(x, edge_index)

    module = network(forward, conv1=gnn.GCNConv(5, 16), conv2=gnn.SAGEConv(16, 3)).train()
    description, tensors = exported(module, tmp_path, columns=list("abcde"), licence="MIT", trained_on="nothing")
    gcn = {"in_channels": 5, "out_channels": 16, "improved": False, "add_self_loops": True, "normalize": True, "bias": True}
    sage = {"in_channels": 16, "out_channels": 3, "normalize": False, "root_weight": True, "project": False, "bias": True,
            "aggr": "mean"}
    assert description == {
        "architecture": "layers", "version": 1, "inputs": {"x": 5}, "columns": {"x": list("abcde")},
        "steps": [
            {"name": "conv1", "layer": "GCNConv", "args": gcn, "inputs": ["x"]},
            {"name": "relu", "layer": "ReLU", "args": {}, "inputs": ["conv1"]},
            {"name": "conv2", "layer": "SAGEConv", "args": sage, "inputs": ["relu"]},
        ],
        "output": "conv2", "licence": "MIT", "trained_on": "nothing",
    }
    assert tensors == {"conv1.bias": [16], "conv1.lin.weight": [16, 5], "conv2.lin_l.bias": [3],
                       "conv2.lin_l.weight": [3, 16], "conv2.lin_r.weight": [3, 16]}
    assert module.training


CONVOLUTIONS = {
    "GCNConv": gnn.GCNConv(4, 6), "SAGEConv": gnn.SAGEConv((4, 4), 6), "GATConv": gnn.GATConv(4, 3, heads=2),
    "GATv2Conv": gnn.GATv2Conv(4, 3, heads=2), "TransformerConv": gnn.TransformerConv(4, 6), "GraphConv": gnn.GraphConv(4, 6),
    "GINConv": gnn.GINConv(gnn.MLP([4, 5, 6])), "EdgeConv": gnn.EdgeConv(nn.Linear(8, 6)), "CGConv": gnn.CGConv(4),
}


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_every_layer_on_nodes(tmp_path, layer):
    description, tensors = exported(CONVOLUTIONS[layer], tmp_path)
    assert [step["layer"] for step in description["steps"]] == [layer]
    assert description["inputs"] == {"x": 4} and all(name.startswith("module.") for name in tensors)


WITH_EDGES = {
    "GATConv": (gnn.GATConv(4, 6, edge_dim=3), 3), "GATv2Conv": (gnn.GATv2Conv(4, 6, edge_dim=3), 3),
    "TransformerConv": (gnn.TransformerConv(4, 6, edge_dim=3), 3), "GINEConv": (gnn.GINEConv(nn.Linear(4, 6)), 4),
    "NNConv": (gnn.NNConv(4, 6, gnn.MLP([3, 24])), 3), "CGConv": (gnn.CGConv(4, dim=3), 3),
    "GCNConv": (gnn.GCNConv(4, 6), 1), "GraphConv": (gnn.GraphConv(4, 6), 1),
}


@pytest.mark.parametrize("layer", WITH_EDGES)
def test_every_layer_on_edges(tmp_path, layer):
    conv, channels = WITH_EDGES[layer]
    module = network(lambda self, x, edge_index, edge_attr: self.conv(x, edge_index, edge_attr), conv=conv)
    description, _ = exported(module, tmp_path)
    assert description["inputs"] == {"x": 4, "edge_attr": channels}
    assert [(step["layer"], step["inputs"]) for step in description["steps"]] == [(layer, ["x", "edge_attr"])]


@pytest.mark.parametrize("layer, conv, take", [
    ("PointNetConv", gnn.PointNetConv(nn.Linear(7, 6), nn.Linear(6, 6)), lambda self, x, ei: self.conv(x[:, 3:], x[:, :3], ei)),
    ("PointTransformerConv", gnn.PointTransformerConv(4, 6), lambda self, x, ei: self.conv(x[:, 3:], x[:, :3], ei)),
])
def test_positions_are_channels(tmp_path, layer, conv, take):
    description, _ = exported(network(lambda self, x, edge_index: take(self, x, edge_index), conv=conv), tmp_path)
    assert description["inputs"] == {"x": 7} and description["steps"][-1]["layer"] == layer


def test_egnn_has_two_outputs(tmp_path):
    def forward(self, x, edge_index, edge_attr):
        h, pos = self.first(x[:, 3:], x[:, :3], edge_index, edge_attr)
        return self.second(h, pos, edge_index)[1]

    module = network(forward, first=E_GCL(2, 2, 6, edges_in_d=4, attention=True), second=E_GCL(2, 5, 6, residual=False))
    description, tensors = exported(module, tmp_path)
    assert description["inputs"] == {"x": 5, "edge_attr": 4}
    assert [(step["name"], step["inputs"]) for step in description["steps"][-2:]] == [
        ("first", ["getitem", "getitem_1", "edge_attr"]), ("second", ["first", "first.1"])]
    assert description["steps"][-1]["args"] == {
        "input_nf": 2, "output_nf": 5, "hidden_nf": 6, "edges_in_d": 0, "act_fn": "SiLU", "residual": False,
        "attention": False, "normalize": False, "coords_agg": "mean", "tanh": False}
    assert description["output"] == "second.1" and tensors["first.att_mlp.0.weight"] == [1, 6]


def test_painn_has_scalars_and_vectors(tmp_path):
    def forward(self, x, edge_index, edge_attr):
        q, mu = self.message(x, torch.cat([x, x, x], 1) * 0, edge_index, self.filters(edge_attr[:, 3:]), edge_attr[:, :3])
        q, mu = self.update(q, mu)
        return q

    module = network(forward, message=PaiNNInteraction(4), update=PaiNNMixing(4), filters=nn.Linear(7, 12))
    description, tensors = exported(module, tmp_path)
    assert description["inputs"] == {"x": 4, "edge_attr": 10}
    steps = {step["name"]: step for step in description["steps"]}
    assert steps["update"]["inputs"] == ["message", "message.1"] and description["output"] == "update"
    assert steps["update"]["args"] == {"n_atom_basis": 4, "epsilon": 1e-8}
    assert len(steps["message"]["inputs"]) == 4 and tensors["message.interatomic_context_net.1.weight"] == [12, 4]


def test_both_outputs_at_once_are_refused(tmp_path):
    with pytest.raises(ExportError, match="forward returns pieces"):
        export(network(lambda self, x, edge_index: self.layer(x[:, 3:], x[:, :3], edge_index), layer=E_GCL(2, 2, 4)), tmp_path / "n")


@pytest.mark.parametrize("coords", ["mean", "sum"])
def test_the_layers_turn_with_the_positions(coords):
    torch.manual_seed(2)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    edges = torch.randint(9, (2, 40))
    h, pos = torch.randn(9, 4, dtype=torch.float64), torch.randn(9, 3, dtype=torch.float64)
    layer = E_GCL(4, 4, 8, coords_agg=coords, normalize=True, tanh=True).double()
    (one, moved), (other, turned) = layer(h, pos, edges), layer(h, pos @ turn.T + 1, edges)
    assert torch.allclose(one, other) and torch.allclose(moved @ turn.T + 1, turned)
    message, update = PaiNNInteraction(4).double(), PaiNNMixing(4).double()
    mu, filters = torch.randn(9, 3, 4, dtype=torch.float64), torch.randn(40, 12, dtype=torch.float64)
    along = nn.functional.normalize(pos[edges[1]] - pos[edges[0]])

    def painn(turn):
        turned = torch.einsum("ij,njc->nic", turn, mu).reshape(9, 12)
        q, out = update(*message(h, turned, edges, filters, along @ turn.T))
        return q, out.view(9, 3, 4)

    (q, out), (q_turned, out_turned) = painn(torch.eye(3, dtype=torch.float64)), painn(turn)
    assert torch.allclose(q, q_turned) and torch.allclose(torch.einsum("ij,njc->nic", turn, out), out_turned)


def test_a_nested_network_is_a_list_of_row_wise_layers(tmp_path):
    description, tensors = exported(network(lambda self, x, edge_index: self.conv(x, edge_index),
                                            conv=gnn.EdgeConv(gnn.MLP([8, 5, 6], norm="batch_norm"))), tmp_path)
    assert description["steps"][0]["args"] == {"aggr": "max", "nn": [
        {"layer": "Linear", "args": {"in_channels": 8, "out_channels": 5, "bias": True}, "weights": "nn.lins.0"},
        {"layer": "BatchNorm", "args": {"in_channels": 5, "eps": 1e-5}, "weights": "nn.norms.0.module"},
        {"layer": "ReLU", "args": {}},
        {"layer": "Linear", "args": {"in_channels": 5, "out_channels": 6, "bias": True}, "weights": "nn.lins.1"},
    ]}
    assert "conv.nn.norms.0.module.running_var" in tensors and "conv.nn.lins.1.weight" in tensors


def test_cfconv_takes_distances_and_attributes(tmp_path):
    module = network(lambda self, x, edge_index, edge_attr: self.conv(x, edge_index, edge_attr[:, 0], edge_attr[:, 1:]),
                     conv=CFConv(4, 6, 5, nn.Sequential(nn.Linear(2, 5), nn.Tanh()), 10.0))
    description, _ = exported(module, tmp_path)
    assert description["inputs"] == {"x": 4, "edge_attr": 3}
    assert description["steps"][-1]["inputs"] == ["x", "getitem", "getitem_1"]


@pytest.mark.parametrize("model, layers", [
    (gnn.GCN(4, 8, 2, 3), ["GCNConv", "ReLU", "GCNConv"]),
    (gnn.GraphSAGE(4, 8, 2, 3, norm="batch_norm"), ["SAGEConv", "BatchNorm", "ReLU", "SAGEConv"]),
    (gnn.GIN(4, 8, 2, 3, jk="max"), ["GINConv", "ReLU", "GINConv", "ReLU", "Max", "Linear"]),
    (gnn.GAT(4, 8, 2, 3, jk="cat", heads=2), ["GATConv", "ReLU", "GATConv", "ReLU", "Cat", "Linear"]),
    (gnn.EdgeCNN(4, 8, 2, 3, act="elu"), ["EdgeConv", "ELU", "EdgeConv"]),
    (gnn.Sequential("x, edge_index, batch", [
        (nn.Dropout(0.5), "x -> x"), (gnn.GCNConv(4, 8), "x, edge_index -> x1"), nn.ReLU(inplace=True),
        (lambda x1, x: [x1, x], "x1, x -> xs"), (gnn.JumpingKnowledge("cat"), "xs -> x"),
        (gnn.global_mean_pool, "x, batch -> x"), nn.Linear(12, 3)]), ["GCNConv", "ReLU", "Cat", "global_mean_pool", "Linear"]),
])
def test_models_of_pytorch_geometric(tmp_path, model, layers):
    assert [step["layer"] for step in exported(model, tmp_path)[0]["steps"]] == layers


def test_models_take_edge_weights_where_columns_are_named(tmp_path):
    assert exported(gnn.GCN(4, 8, 1, 3), tmp_path)[0]["inputs"] == {"x": 4}
    assert exported(gnn.GCN(4, 8, 1, 3), tmp_path, edge_columns=["w"])[0]["inputs"] == {"x": 4, "edge_attr": 1}
    assert exported(gnn.GAT(4, 8, 1, 3, edge_dim=2), tmp_path)[0]["inputs"] == {"x": 4, "edge_attr": 2}


def layers_of(forward, path, **parts):
    parts = parts or {"lin": nn.Linear(4, 4)}
    description, _ = exported(network(forward, **parts), path)
    return [step["layer"] for step in description["steps"]], description


@pytest.mark.parametrize("forward, layers", [
    (lambda s, x, edge_index: s.lin(x).relu_(), ["Linear", "ReLU"]),
    (lambda s, x, edge_index: torch.relu(s.lin(x)) + 1, ["Linear", "ReLU", "Shift"]),
    (lambda s, x, edge_index: F.leaky_relu(s.lin(x), 0.1), ["Linear", "LeakyReLU"]),
    (lambda s, x, edge_index: 2 - s.lin(x) / 2, ["Linear", "Scale", "Scale", "Shift"]),
    (lambda s, x, edge_index: sum([s.lin(x), x]), ["Linear", "Add"]),
    (lambda s, x, edge_index: torch.hstack((s.lin(x), x)), ["Linear", "Cat"]),
    (lambda s, x, edge_index: s.lin(x) * x[:, :1], ["Linear", "Columns", "Mul"]),
    (lambda s, x, edge_index: s.lin(x) - x.mul(x), ["Linear", "Mul", "Sub"]),
    (lambda s, x, edge_index: torch.maximum(s.lin(x), x), ["Linear", "Max"]),
    (lambda s, x, edge_index: s.lin(x).log_softmax(-1), ["Linear", "LogSoftmax"]),
    (lambda s, x, edge_index: s.lin(x) * x.size(1), ["Linear", "Scale"]),
    (lambda s, x, edge_index: torch.cat(s.lin(x).chunk(2, dim=1)[::-1], 1), ["Linear", "Columns", "Columns", "Cat"]),
    (lambda s, x, edge_index: s.lin(x) @ s.lin.weight, ["Linear", "Linear"]),
    (lambda s, x, edge_index: s.lin(x) * s.lin.bias, ["Linear", "BatchNorm"]),
    (lambda s, x, edge_index: F.linear(x, s.lin.weight, s.lin.bias).squeeze(-1), ["Linear"]),
])
def test_functions(tmp_path, forward, layers):
    assert layers_of(forward, tmp_path)[0] == layers


def test_an_embedding_takes_a_column_of_whole_numbers(tmp_path):
    module = network(lambda s, x, edge_index: torch.cat([s.emb(x[:, :1].long().squeeze(-1)), x[:, 1:]], -1), emb=nn.Embedding(9, 4))
    steps = exported(module, tmp_path, columns=["kind", "a", "b"])[0]["steps"]
    assert [(step["layer"], step["inputs"]) for step in steps] == [
        ("Columns", ["x"]), ("Embedding", ["getitem"]), ("Columns", ["x"]), ("Cat", ["emb", "getitem_1"])]


def test_parametrisations_are_worked_out(tmp_path):
    module = network(lambda s, x, edge_index: s.lin(x), lin=torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    assert exported(module, tmp_path)[1] == {"lin.bias": [3], "lin.weight": [3, 4]}


def test_a_change_in_place_is_seen_by_all_later_users(tmp_path):
    def forward(self, x, edge_index):
        h = self.lin(x)
        g = h
        g += x
        h.relu_()
        return g * 2

    steps = layers_of(forward, tmp_path)[1]["steps"]
    assert [(step["layer"], step["inputs"]) for step in steps] == [
        ("Linear", ["x"]), ("Add", ["lin", "x"]), ("ReLU", ["iadd"]), ("Scale", ["relu_"])]


def test_a_module_called_twice_shares_its_weights(tmp_path):
    _, description = layers_of(lambda s, x, edge_index: s.lin(s.lin(x)), tmp_path)
    assert [(step["name"], step.get("weights")) for step in description["steps"]] == [("lin", None), ("lin@2", "lin")]


def test_lazy_modules_norms_pools_and_data(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.pool = gnn.SAGEConv(-1, 6), gnn.LayerNorm(6, mode="node"), gnn.MaxAggregation()

        def forward(self, data):
            x, edge_index, batch = data.x, data.edge_index, data.batch
            return self.pool(self.norm(self.conv(x, edge_index), batch), batch)

    module = Net()
    module.conv(torch.rand(3, 4), torch.tensor([[0, 1], [1, 2]]))
    description, _ = exported(module, tmp_path)
    assert description["inputs"] == {"x": 4}
    assert [step["layer"] for step in description["steps"]] == ["SAGEConv", "LayerNorm", "global_max_pool"]
    assert description["steps"][0]["args"]["in_channels"] == 4


def nan(linear):
    linear.weight.data[0, 0] = torch.nan
    return linear


def hooked(linear):
    linear.register_forward_hook(lambda module, args, out: out + 1)
    return linear


def branch(self, x, edge_index):
    return self.lin(x) if x.sum() > 0 else x


REFUSALS = {
    "GraphNorm `part`": (gnn.GraphNorm(4), lambda s, x, ei: s.part(s.lin(x))),
    'LayerNorm `part` at test_export.py:': (gnn.LayerNorm(4), lambda s, x, ei: s.part(s.lin(x))),
    "running statistics": (nn.BatchNorm1d(4, track_running_stats=False), lambda s, x, ei: s.part(s.lin(x))),
    'aggr="lstm" (its result depends on the order of the edges)': (gnn.SAGEConv(4, 4, aggr="lstm"), lambda s, x, ei: s.part(s.lin(x), ei)),
    "TopKPooling": (gnn.TopKPooling(4), lambda s, x, ei: s.part(s.lin(x), ei)[0]),
    "ChebConv `part`": (gnn.ChebConv(4, 4, 2), lambda s, x, ei: s.part(s.lin(x), ei)),
    "bipartite": (gnn.SAGEConv(4, 4), lambda s, x, ei: s.part((s.lin(x), x), ei)),
    "add_self_loops": (gnn.GCNConv(4, 4), lambda s, x, ei: s.part(s.lin(x), add_self_loops(ei)[0])),
    "edge_index is not the one": (gnn.GCNConv(4, 4), lambda s, x, ei: s.part(s.lin(x), torch.stack([ei[0], ei[1]]))),
    "target_to_source": (gnn.GCNConv(4, 4, flow="target_to_source"), lambda s, x, ei: s.part(s.lin(x), ei)),
    "depends on the size of the graph": (None, lambda s, x, ei: s.lin(x) / x.size(0)),
    "exp": (None, lambda s, x, ei: s.lin(x).exp()),
    "dim must be the channels": (None, lambda s, x, ei: F.softmax(s.lin(x), dim=0)),
    "global_mean_pool": (None, lambda s, x, ei: s.lin(x).mean(dim=0)),
    "returns pieces": (None, lambda s, x, ei: (s.lin(x), x)),
    "depends on its data": (None, branch),
    "a slope a channel": (nn.PReLU(4), lambda s, x, ei: s.part(s.lin(x))),
    "has hooks": (hooked(nn.Linear(4, 4)), lambda s, x, ei: s.part(x)),
    "rand_like": (None, lambda s, x, ei: s.lin(x) + torch.rand_like(x)),
    "no shape yet": (nn.LazyLinear(4), lambda s, x, ei: s.part(s.lin(x))),
    "whole numbers": (None, lambda s, x, ei: s.lin(x) + x.long().float()),
}


@pytest.mark.parametrize("named", REFUSALS)
def test_refusals_name_the_culprit(tmp_path, named):
    part, forward = REFUSALS[named]
    module = network(lambda self, x, edge_index: forward(self, x, edge_index), lin=nn.Linear(4, 4), part=part)
    with pytest.raises(ExportError) as refusal:
        exported(module, tmp_path)
    assert named in str(refusal.value), refusal.value
    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_and_doubles(tmp_path):
    with pytest.raises(ExportError, match="tensor module.weight holds NaN"):
        exported(nan(nn.Linear(4, 4)), tmp_path)
    with pytest.warns(UserWarning, match="f64 weights are rounded"):
        module = network(lambda self, x, edge_index: self.lin(x), lin=nn.Linear(4, 4).double())
        module.lin.weight.data += 1e-12
        exported(module, tmp_path)


def test_columns_are_as_many_as_channels(tmp_path):
    with pytest.raises(ExportError, match="columns has 3 names, and the network takes 4 channels"):
        exported(gnn.GCN(4, 8, 1, 3), tmp_path, columns=["a", "b", "c"])
    with pytest.raises(ExportError, match="no layer says how many channels x has"):
        exported(network(lambda self, x, edge_index: x + 1), tmp_path)
