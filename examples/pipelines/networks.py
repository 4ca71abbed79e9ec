"""Trains the three small networks of the examples on made-up data, and writes them in data/.

    python examples/pipelines/networks.py --thalweg target/release/thalweg

Needs the packages of training/requirements.txt; takes a few minutes on one core. NAME.safetensors
is a network. NAME_check.safetensors is one small graph and PyTorch Geometric's answer.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import torch
import torch_geometric.nn as gnn
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import made

sys.path.append(str(Path(__file__).resolve().parents[2] / "training"))
from export import export  # noqa: E402


def mlp(*channels, activation=nn.ReLU):
    layers = [nn.Linear(channels[0], channels[1])]
    for i, o in zip(channels[1:], channels[2:]):
        layers += [activation(), nn.Linear(i, o)]
    return nn.Sequential(*layers)


class Sweep(nn.Module):
    """Something else (0) or ground (1), for every node; x is z (m), intensity, px, py, pz (m)."""

    def __init__(self):
        super().__init__()
        self.near = gnn.PointNetConv(mlp(2 + 3, 32, 32), mlp(32, 32), add_self_loops=False)
        self.far = gnn.PointNetConv(mlp(32 + 3, 32, 32), mlp(32, 32), add_self_loops=False)
        self.head = nn.Linear(2 + 32 + 32, 2)

    def forward(self, x, edge_index):
        pos = x[:, 2:5]
        near = self.near(x[:, :2], pos, edge_index).relu()
        far = self.far(near, pos, edge_index).relu()
        return self.head(torch.cat([x[:, :2], near, far], dim=1))


class Radar(nn.Module):
    """Where a person stands, and how high the head is (m); x is px, py, pz (m), intensity."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = gnn.SAGEConv(4, 32), gnn.SAGEConv(32, 32)
        self.head = mlp(2 * (4 + 32), 64, 3)

    def forward(self, x, edge_index, batch):
        h = self.conv1(x, edge_index).relu()
        h = torch.cat([x, self.conv2(h, edge_index).relu()], dim=1)
        pooled = [gnn.global_mean_pool(h, batch), gnn.global_max_pool(h, batch)]
        return self.head(torch.cat(pooled, dim=1))


class Molecule(nn.Module):
    """Energy (eV); x is the element, one of HCNO; edge_attr the distance in a radial basis."""

    def __init__(self):
        super().__init__()
        basis = mlp(16, 64, 64, 4 * 4, activation=nn.SiLU)
        self.conv = gnn.NNConv(4, 4, basis, root_weight=False)
        self.head = nn.Linear(4, 1)

    def forward(self, x, edge_index, edge_attr, batch):
        # What its neighbours tell an atom of each element; x picks the one that it is of.
        h = self.conv(x, edge_index, edge_attr) * x
        return gnn.global_add_pool(self.head(h), batch)


def train(network, steps, rate, loss):
    """Minimises `loss(network)`, which takes new data each time."""
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(network).backward()
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def write(out, name, network, columns, trained_on, inputs):
    """The network, and the answer for a graph, computed in f64 from the same f32 numbers."""
    about = {"licence": "MIT OR Apache-2.0", "trained_on": trained_on}
    export(network, out / f"{name}.safetensors", columns=columns.split(), **about)
    wide = [t.double() if t.is_floating_point() else t for t in inputs]
    x, (src, dst), *rest = inputs
    tensors = {"x": x, "src": src.int(), "dst": dst.int(), "y": network.double()(*wide).float()}
    tensors |= {"edge_attr": t for t in rest if t.is_floating_point()}
    tensors = {key: t.contiguous() for key, t in tensors.items()}
    save_file(tensors, out / f"{name}_check.safetensors")


def sweep(out, thalweg):
    with tempfile.TemporaryDirectory() as temp:
        folder = made.street(thalweg, f"{temp}/1", 20, 1)
        frames = [made.sweep(folder, n) for n in range(20)]
        x, ground = made.sweep(made.street(thalweg, f"{temp}/2", 1, 2), 0)

    def loss(network):
        x, edges, ground = made.crop(random.choice(frames), 1500)
        return cross_entropy(network(x, edges), ground)

    network = train(Sweep(), 250, 0.01, loss)
    right = network(x, made.knn(x[:, 2:5])).argmax(1) == ground
    most = max(ground.float().mean(), 1 - ground.float().mean())
    print(f"sweep: {right.float().mean():.3f} right on another street; the larger class {most:.3f}")
    x, edges, _ = made.crop(frames[0], 150)
    write(out, "sweep", network, "z intensity px py pz", "sim:street, seed 1", (x, edges))


def radar(out):
    known = [made.people(32) for _ in range(200)]

    def loss(network):
        inputs, answers = random.choice(known)
        return mse_loss(network(*inputs), answers)

    network = train(Radar(), 1500, 0.005, loss)
    inputs, answers = made.people(200)
    wrong = network(*inputs) - answers
    centre, head = wrong[:, :2].norm(dim=1).mean(), wrong[:, 2].abs().mean()
    print(f"radar: mean error of the centre {centre:.3f} m, of the head {head:.3f} m")
    one = made.people(1)[0]
    write(out, "radar", network, "px py pz intensity", "people of cylinders, made up", one)


def molecule(out):
    def batch(count):
        return made.molecules([made.molecule() for _ in range(count)])

    known = [batch(64) for _ in range(50)]

    def loss(network):
        inputs, energies = random.choice(known)
        return mse_loss(network(*inputs), energies)

    network = train(Molecule(), 3000, 0.005, loss)
    inputs, energies = batch(200)
    wrong = (network(*inputs) - energies).abs().mean()
    print(f"molecule: mean error {wrong:.3f} eV; standard deviation {energies.std():.3f} eV")
    first = made.molecules(made.some_molecules()[:1])[0]
    write(out, "molecule", network, "H C N O", "a made-up potential", first)


def main():
    parser = argparse.ArgumentParser(description="Trains the networks of the examples.")
    parser.add_argument("--out", type=Path, default=made.DATA)
    parser.add_argument("--thalweg", default="thalweg", help="the program, for its street")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    random.seed(1)
    torch.manual_seed(1)
    sweep(args.out, args.thalweg)
    radar(args.out)
    molecule(args.out)


if __name__ == "__main__":
    main()
