"""Trains `tgnn` on simulated outbreaks: python training/risk/train.py DATA; see training/README.md.

DATA holds folders of `outbreaks features` (pipelines/examples/outbreaks): those named train* are trained on, validate watches.
The network is that of src/contacts/tgnn/network.rs; standardisation of the inputs is folded into its first layers.
"""

import argparse
import json
import pathlib
import warnings

import numpy
import torch
from safetensors.torch import save_file
from torch import nn

warnings.filterwarnings("ignore", message="Sparse")

AGES = 3
NOISE = 0.3  # added to standardised inputs in training
INPUTS = 2  # version of the inputs, as network.rs has it
MODEL = pathlib.Path(__file__).parents[2] / "models" / "tgnn.safetensors"


class Cases:
    """Outbreaks one after another."""

    def __init__(self, folders):
        def column(name):
            return torch.from_numpy(numpy.concatenate([numpy.load(f / f"{name}.npy") for f in folders]).astype(kind(name)))

        def kind(name):
            return numpy.int64 if name in ("people", "edges", "degree") else numpy.int32 if name == "src" else numpy.float32

        self.node, self.population, self.weight = column("node"), column("population"), column("weight")
        self.base, self.bp, self.infected, self.positive = (column(n)[:, 0] for n in ("base", "bp", "infected", "positive"))
        self.degree, self.src = column("degree")[:, 0], column("src")[:, 0]
        self.people = nn.functional.pad(column("people")[:, 0].cumsum(0), (1, 0))
        self.edges = nn.functional.pad(column("edges")[:, 0].cumsum(0), (1, 0))

    def __len__(self):
        return len(self.population)

    def batch(self, which):
        """Cases as one graph: node, population, case of each node, graph, base, bp, infected, positive."""
        nodes = torch.cat([torch.arange(self.people[c], self.people[c + 1]) for c in which])
        edges = torch.cat([torch.arange(self.edges[c], self.edges[c + 1]) for c in which])
        sizes = torch.tensor([self.people[c + 1] - self.people[c] for c in which])
        first = nn.functional.pad(sizes.cumsum(0), (1, 0))[:-1]
        of = torch.repeat_interleave(torch.arange(len(which)), sizes)
        rows = nn.functional.pad(self.degree[nodes].cumsum(0), (1, 0)).int()
        many = torch.tensor([self.edges[c + 1] - self.edges[c] for c in which])
        columns = (self.src[edges] + torch.repeat_interleave(first, many)).int()
        graph = [Product.matrices(rows, columns, weight) for weight in self.weight[edges].T]
        return self.node[nodes], self.population[which], of, graph, self.base[nodes], self.bp[nodes], self.infected[nodes], self.positive[nodes]

    def batches(self, order):
        """All cases, a few at a time, in an order."""
        return [self.batch(which) for which in order.split(8)]


class Product(torch.autograd.Function):
    """A sparse matrix times a dense one; the transposed matrix is kept for the gradient."""

    @staticmethod
    def matrices(rows, columns, weight):
        shape = (len(rows) - 1,) * 2
        whole = torch.sparse_csr_tensor(rows, columns, weight.contiguous(), shape)
        turned = whole.to_sparse_csc()
        return whole, torch.sparse_csr_tensor(turned.ccol_indices(), turned.row_indices(), turned.values(), shape)

    @staticmethod
    def forward(context, whole, turned, x):
        context.turned = turned
        return whole @ x

    @staticmethod
    def backward(context, gradient):
        return None, None, context.turned @ gradient.contiguous()


class GraphConv(nn.Module):
    """As src/layers/graph_conv.rs."""

    def __init__(self, channels):
        super().__init__()
        self.lin_rel = nn.Linear(AGES * channels, channels)
        self.lin_root = nn.Linear(channels, channels, bias=False)

    def forward(self, x, graph):
        return self.lin_rel(torch.cat([Product.apply(*weight, x) for weight in graph], 1)) + self.lin_root(x)


class TemporalGraphNetwork(nn.Module):
    """As src/contacts/tgnn/network.rs."""

    def __init__(self, node, population, channels):
        super().__init__()
        self.population = nn.ModuleList([nn.Linear(population, channels), nn.Linear(channels, channels)])
        self.scale = nn.Linear(channels, 2)
        self.input = nn.Linear(node, channels)
        self.mix = nn.Linear(channels, channels, bias=False)
        self.conv = nn.ModuleList([GraphConv(channels), GraphConv(channels)])
        self.head = nn.ModuleList([nn.Linear(3 * channels, channels), nn.Linear(channels, 1)])
        for layer in (self.scale, self.head[1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, node, population, of, graph, base):
        for layer in self.population:
            population = layer(population).relu()
        a, b = self.scale(population)[of].T
        h0 = (self.input(node) + self.mix(population)[of]).relu()
        h1 = self.conv[0](h0, graph).relu()
        h2 = self.conv[1](h1, graph).relu()
        return (1 + a) * base + b + self.head[1](self.head[0](torch.cat([h0, h1, h2], 1)).relu())[:, 0]


def fold(layer, mean, deviation):
    """Weights for inputs as they come, from weights for (input - mean) / deviation."""
    weight = layer["weight"] / deviation
    return {"weight": weight, "bias": layer["bias"] - weight @ mean}


def save(path, model, statistics, about):
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name, (mean, deviation) in statistics.items():
        folded = fold({part: state[f"{name}.{part}"] for part in ("weight", "bias")}, mean, deviation)
        state |= {f"{name}.{part}": tensor for part, tensor in folded.items()}
    path.parent.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, {"thalweg": json.dumps(about)})
    path.chmod(0o644)


def deviation(values):
    """Standard deviation, large where nothing varies: such an input says nothing."""
    found = values.std(0)
    return torch.where(found > 1e-4, found, 1e6)


def measure(score, infected):
    """Brier score and calibration error in ten bins."""
    bins = (score * 10).long().clamp(max=9)
    off = torch.zeros(10, dtype=torch.float64).index_add(0, bins, (score - infected).double()).abs().sum() / len(score)
    return ((score - infected) ** 2).mean().item(), off.item()


def auc(score, infected):
    order = score.argsort()
    ranks = torch.empty_like(score)
    ranks[order] = torch.arange(len(score), dtype=score.dtype)
    n = infected.sum()
    return ((ranks * infected).sum() - n * (n - 1) / 2) / (n * (len(score) - n))


@torch.no_grad()
def validate(model, cases, standard):
    """Loss, Brier score, calibration error and AUC of the network, of the average that it begins with, and of bp."""
    scores, aucs = [], []
    for node, population, of, graph, base, bp, infected, positive in cases:
        found = torch.sigmoid(model(*standard(node, population), of, graph, base))
        keep = positive == 0
        scores.append(torch.stack([found, torch.sigmoid(base), bp, infected])[:, keep])
        for case in range(int(of[-1]) + 1):
            mine = keep & (of == case)
            if 0 < infected[mine].sum() < mine.sum():
                aucs.append([auc(score[mine], infected[mine]) for score in (found, base, bp)])
    *scores, infected = torch.cat(scores, 1)
    ranks = numpy.array(aucs).mean(0)
    loss = [nn.functional.binary_cross_entropy(score.clamp(1e-7, 1 - 1e-7), infected).item() for score in scores]
    return {
        name: [round(float(v), 5) for v in (loss, *measure(score, infected), rank)]
        for name, loss, score, rank in zip(("own", "average", "bp"), loss, scores, ranks)
    }


@torch.no_grad()
def shrink(model, cases, standard):
    """Scales what the network adds to the average, which is linear in its last layers, by the share with the best Brier score."""
    last = [tensor for layer in (model.scale, model.head[1]) for tensor in (layer.weight, layer.bias)]
    whole = [tensor.clone() for tensor in last]
    found = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        for tensor, value in zip(last, whole):
            tensor.copy_(share * value)
        found.append((validate(model, cases, standard)["own"][1], share))
    for tensor, value in zip(last, whole):
        tensor.copy_(min(found)[1] * value)
    print("Brier score, share:", found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=MODEL, help="where the weights go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-3)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    train = Cases(sorted(arguments.data.glob("train*")))
    held = Cases([arguments.data / "validate"])
    statistics = {
        "input": (train.node.mean(0), deviation(train.node)),
        "population.0": (train.population.mean(0), deviation(train.population)),
    }

    def standard(node, population):
        return [(v - mean) / dev for v, (mean, dev) in zip((node, population), statistics.values())]

    model = TemporalGraphNetwork(train.node.shape[1], train.population.shape[1], arguments.channels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.3)
    about = {
        "architecture": "TemporalGraphNetwork",
        "channels": arguments.channels,
        "inputs": INPUTS,
        "licence": "CC0-1.0",
        "trained_on": f"{len(train)} simulated outbreaks on InVS 2015 (SocioPatterns, CC0) and sim:town, seed {arguments.seed}",
    }
    batches = train.batches(torch.randperm(len(train)))
    watched = held.batches(torch.arange(len(held)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, arguments.epochs * len(batches), pct_start=0.1)
    for epoch in range(arguments.epochs):
        total = 0.0
        for which in torch.randperm(len(batches)):
            node, population, of, graph, base, _, infected, positive = batches[which]
            node, population = (v + NOISE * torch.randn_like(v) for v in standard(node, population))
            found = model(node, population, of, graph, base)
            # People whose test was positive are known: they count little.
            loss = nn.functional.binary_cross_entropy_with_logits(found, infected, 1 - 0.8 * positive)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() / len(batches)
        save(arguments.model, model, statistics, about)
        print(epoch, f"{total:.5f}", json.dumps(validate(model, watched, standard)), flush=True)
    shrink(model, watched, standard)
    save(arguments.model, model, statistics, about)
    print("shrunk", json.dumps(validate(model, watched, standard)))


if __name__ == "__main__":
    main()
