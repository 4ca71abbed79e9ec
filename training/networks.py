"""Writes the parity fixtures of networks: random ones through `export.py`, and what PyTorch Geometric computes
with them; numbers 20 and 21 are networks of the layers of EGNN and PaiNN.

    python training/networks.py

`tests/fixtures/networks/NN.safetensors` is the file of a network; `NN.answer.safetensors` has a graph (`edge_index` `[2, e]`,
`x`, and where the network takes them `edge_attr`, `batch`) and the answer `y`, computed in f64 and written as f32. The graph has
isolated nodes, self-loops and a node with many neighbours, one edge a pair.
"""

import copy
import inspect
import random
from pathlib import Path

import torch
import torch.nn.functional as F
import torch_geometric.nn as gnn
from safetensors.torch import save_file
from torch import nn

from equivariant import E_GCL, PaiNNInteraction, PaiNNMixing
from export import export

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "networks"
EDGE_CHANNELS = 3


def mlp(*channels):
    return nn.Sequential(nn.Linear(channels[0], channels[1]), nn.ReLU(), nn.Linear(*channels[1:]))


class WithPosition(nn.Module):
    """Layers that take a position: the first three channels."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x, edge_index):
        return self.conv(x[:, 3:], x[:, :3], edge_index)


class WithDistance(nn.Module):
    """CFConv: the first channel of the attributes is the distance."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x, edge_index, edge_attr):
        return self.conv(x, edge_index, edge_attr[:, 0], edge_attr[:, 1:])


def convolutions():
    """For each layer: does it take edge attributes, and how to make one from i to o channels."""
    from torch_geometric.nn.models.schnet import CFConv, ShiftedSoftplus

    e = EDGE_CHANNELS
    return [
        (None, lambda i, o: gnn.GCNConv(i, o)),
        ("weight", lambda i, o: gnn.GCNConv(i, o, improved=True)),
        (None, lambda i, o: gnn.SAGEConv(i, o, aggr=random.choice(["mean", "max", "add"]), project=True, normalize=True)),
        ("weight", lambda i, o: gnn.GraphConv(i, o, aggr=random.choice(["add", "mean", "max"]))),
        (None, lambda i, o: gnn.GATConv(i, o, heads=2, concat=False)),
        ("attr", lambda i, o: gnn.GATConv(i, o // 2, heads=2, edge_dim=e, residual=True)),
        ("attr", lambda i, o: gnn.GATv2Conv(i, o // 2, heads=2, edge_dim=e, share_weights=True)),
        (None, lambda i, o: gnn.GINConv(gnn.MLP([i, 6, o], norm="batch_norm"), train_eps=True)),
        ("attr", lambda i, o: gnn.GINEConv(mlp(i, 6, o), edge_dim=e)),
        (None, lambda i, o: gnn.EdgeConv(mlp(2 * i, 6, o), aggr=random.choice(["max", "mean"]))),
        (None, lambda i, o: WithPosition(gnn.PointNetConv(mlp(i, 6, o), nn.Linear(o, o)))),
        (None, lambda i, o: WithPosition(gnn.PointTransformerConv(i - 3, o, attn_nn=nn.Linear(o, o)))),
        ("attr", lambda i, o: gnn.TransformerConv(i, o // 2, heads=2, edge_dim=e, beta=True)),
        ("attr", lambda i, o: gnn.NNConv(i, o, mlp(e, 4, i * o), aggr="mean")),
        ("attr", lambda i, o: nn.Sequential(gnn.CGConv(i, dim=e, batch_norm=True), nn.Linear(i, o))),
        ("attr", lambda i, o: WithDistance(CFConv(i, o, 5, nn.Sequential(nn.Linear(e - 1, 5), ShiftedSoftplus()), 10.0))),
    ]


class RandomNetwork(nn.Module):
    """Two to four layers with what stands between them: norms, activations, skips, concatenations, a read-out."""

    def __init__(self, first, seed):
        super().__init__()
        self.draw = random.Random(seed)
        kinds = convolutions()
        self.takes, self.convs, self.norms, self.plans = [], nn.ModuleList(), nn.ModuleList(), []
        width = self.width = 5
        for i in range(self.draw.randint(2, 4)):
            takes, make = kinds[first] if i == 0 else self.draw.choice(kinds)
            out = self.draw.choice([6, 8])
            self.takes.append(takes)
            self.convs.append(make(width, out))
            norm = self.draw.choice([nn.Identity, nn.BatchNorm1d, gnn.BatchNorm, nn.LayerNorm])
            self.norms.append(norm(out) if norm is not nn.Identity else norm())
            plan = self.draw.choice(["plain", "cat", "skip"] if out == width else ["plain", "cat"])
            act = self.draw.choice([F.relu, F.elu, torch.tanh, F.gelu, F.silu, F.leaky_relu, F.softplus, torch.sigmoid])
            self.plans.append((plan, act))
            width = out + width if plan == "cat" else out
        self.head = nn.Linear(width, 4)
        self.end = self.draw.choice(["plain", "log_softmax", "softmax", "global_mean_pool", "global_add_pool", "global_max_pool"])

    def forward(self, x, edge_index, edge_attr, batch):
        for conv, norm, takes, (plan, act) in zip(self.convs, self.norms, self.takes, self.plans):
            if isinstance(conv, nn.Sequential):
                h = conv[1](conv[0](x, edge_index, edge_attr))
            elif takes == "attr":
                h = conv(x, edge_index, edge_attr)
            elif takes == "weight":
                h = conv(x, edge_index, edge_attr[:, 0])
            else:
                h = conv(x, edge_index)
            h = F.dropout(act(norm(h)), 0.5, training=self.training)
            x = torch.cat([x, h], dim=-1) if plan == "cat" else x + h if plan == "skip" else h
        x = self.head(x)
        if self.end.startswith("global"):
            return getattr(gnn, self.end)(x, batch)
        return {"plain": lambda x: x * 0.5 + 1, "log_softmax": lambda x: F.log_softmax(x, dim=-1),
                "softmax": lambda x: x.softmax(dim=1)}[self.end](x)


class Egnn(nn.Module):
    """Two layers of EGNN: positions are the first three channels, and part of the answer."""

    width, takes, end = 5, ["attr"], "plain"

    def __init__(self):
        super().__init__()
        self.first = E_GCL(2, 2, 6, edges_in_d=EDGE_CHANNELS, attention=True, normalize=True)
        self.second = E_GCL(2, 4, 6, residual=False, coords_agg="sum", tanh=True, act_fn="Tanh")

    def forward(self, x, edge_index, edge_attr):
        h, pos = self.first(x[:, 3:], x[:, :3], edge_index, edge_attr)
        h, pos = self.second(h, pos, edge_index)
        return torch.cat([h, pos - x[:, :3]], dim=1)


class PaiNN(nn.Module):
    """Two rounds of PaiNN: the attributes of an edge are its direction, and make its filters."""

    width, takes, end = 5, ["attr"], "global_add_pool"

    def __init__(self, n=4):
        super().__init__()
        self.embed, self.filters = nn.Linear(5, n), nn.Linear(EDGE_CHANNELS, 3 * n)
        self.messages = nn.ModuleList([PaiNNInteraction(n) for _ in range(2)])
        self.updates = nn.ModuleList([PaiNNMixing(n, epsilon=1e-4) for _ in range(2)])
        self.head = nn.Linear(4 * n, 3)

    def forward(self, x, edge_index, edge_attr, batch):
        q = self.embed(x)
        mu = torch.cat([q, q, q], dim=1) * 0
        for message, update in zip(self.messages, self.updates):
            q, mu = message(q, mu, edge_index, self.filters(edge_attr), edge_attr)
            q, mu = update(q, mu)
        return gnn.global_add_pool(self.head(torch.cat([q, mu], dim=1)), batch)


def graph(seed):
    """40 nodes: the last three isolated, five self-loops, node 0 a hub; two graphs in the batch."""
    torch.manual_seed(seed)
    n = 40
    pairs = {(s, d) for s, d in torch.randint(0, n - 3, (150, 2)).tolist() if (s < 20) == (d < 20)}
    pairs |= {(i, i) for i in range(5)} | {(i, 0) for i in range(1, 20)} | {(0, i) for i in range(1, 10)}
    pairs = list(pairs)
    random.Random(seed).shuffle(pairs)
    edge_attr = torch.rand(len(pairs), EDGE_CHANNELS)
    return torch.randn(n, 5), torch.tensor(pairs).T.contiguous(), edge_attr, (torch.arange(n) >= 20).long()


def network_of(number):
    own = {20: Egnn, 21: PaiNN}
    return own[number]() if number in own else RandomNetwork(number % len(convolutions()), number)


def write(number):
    random.seed(number)
    torch.manual_seed(number)
    network = network_of(number).eval()
    for name, tensor in (*network.named_buffers(), *network.named_parameters()):
        if name.endswith("running_var"):
            tensor.data.uniform_(0.5, 2)
        elif tensor.dim() == 1 and torch.is_floating_point(tensor):
            tensor.data.normal_(0, 0.3)
    takes = any(network.takes)
    columns = [f"e{i}" for i in range(EDGE_CHANNELS)] if takes else None
    names = [f"f{i}" for i in range(network.width)]
    export(network, OUT / f"{number:02}.safetensors", columns=names, edge_columns=columns, licence="CC0-1.0",
           trained_on="random weights")
    x, edge_index, edge_attr, batch = graph(number)
    with torch.no_grad():
        given = [batch] if "batch" in inspect.signature(network.forward).parameters else []
        y = copy.deepcopy(network).double()(x.double(), edge_index, edge_attr.double(), *given)
    out = {"x": x, "edge_index": edge_index.int(), "y": y.float()}
    if takes:
        out["edge_attr"] = edge_attr
    if network.end.startswith("global"):
        out["batch"] = batch.int()
    save_file(out, OUT / f"{number:02}.answer.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for number in range(22):
        write(number)
