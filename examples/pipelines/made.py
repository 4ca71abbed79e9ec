"""What the examples are fed with: data that are made here, from one seed.

    python examples/pipelines/made.py --thalweg target/release/thalweg

writes in data/: odometry.csv, contacts.csv, tests.csv, vaccinations.csv and molecules.xyz. The rest
is for networks.py: sweeps of a simulated street, people as a radar would see them, and molecules
with a potential of our own.
"""

import argparse
import csv
import itertools
import math
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize, one_hot

DATA = Path(__file__).resolve().parent / "data"
VOXEL, NEIGHBOURS = 0.4, 16  # of a sweep (m)
GROUND = [40, 44, 48, 49, 60, 72]  # road, parking, sidewalk, other ground, lane marking, terrain
RADIUS = 0.6  # of the graph of radar points (m)
CUTOFF, WIDTH, CENTRES = 5.0, 0.3, torch.linspace(0.5, 5, 16)  # of the edges of molecules (Å)

ELEMENTS = "HCNO"
# The potential, made up: depth D (eV) and place r (Å) of a pair's minimum, from its two elements,
# V(d) = D ((1 - exp(-1.9 (d - r)))^2 - 1), D = sqrt(D_a D_b), r = r_a + r_b, summed over the pairs.
DEPTH, SIZE = torch.tensor([4.5, 3.6, 1.7, 1.5]), torch.tensor([0.31, 0.76, 0.71, 0.66])


def street(thalweg, folder, frames, seed):
    """The program's simulated street as a KITTI folder."""
    settings = ["--set", f"frames={frames}", "--set", f"seed={seed}"]
    subprocess.run([thalweg, "simulate", "street", "--output", folder, *settings], check=True)
    return Path(folder)


def distances(a, b):
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def knn(pos):
    """Edges from each node's nearest to the node."""
    nodes = torch.arange(len(pos))
    near = [distances(some, pos).topk(NEIGHBOURS + 1, largest=False) for some in pos.split(1000)]
    near = torch.cat([some.indices[:, 1:] for some in near])  # the first is the node itself
    return torch.stack([near.flatten(), nodes.repeat_interleave(NEIGHBOURS)])


def within(pos, batch, r):
    """Edges both ways between all points of one graph that are within `r`."""
    near = (distances(pos, pos) <= r) & (batch[:, None] == batch)
    return near.fill_diagonal_(False).nonzero().T


def sweep(folder, number):
    """Of each voxel the point nearest its centre: x = z, intensity, px, py, pz (m), and ground."""
    points = np.fromfile(folder / f"velodyne/{number:06}.bin", np.float32).reshape(-1, 4)
    labels = np.fromfile(folder / f"labels/{number:06}.label", np.uint32) & 0xFFFF
    places = points[:, :3].astype(np.float64) / VOXEL
    order = np.argsort(((places % 1 - 0.5) ** 2).sum(1), kind="stable")
    nodes = np.sort(order[np.unique(np.floor(places[order]), axis=0, return_index=True)[1]])
    ground = torch.from_numpy(np.isin(labels[nodes], GROUND)).long()
    return torch.from_numpy(points[nodes][:, [2, 3, 0, 1, 2]]), ground


def crop(frame, count):
    """The nodes around a random one, turned at random and sometimes without intensity."""
    x, ground = frame
    centre = x[torch.randint(len(x), ()), 2:5]
    nodes = (x[:, 2:5] - centre).norm(dim=1).topk(count, largest=False).indices
    z, intensity, px, py, _ = x[nodes].T
    turn = 2 * math.pi * random.random()
    cos, sin = math.cos(turn), math.sin(turn)
    intensity = intensity * (random.random() > 0.25)
    x = torch.stack([z, intensity, cos * px - sin * py, sin * px + cos * py, z], dim=1)
    return x, knn(x[:, 2:5]), ground[nodes]


def person():
    """5 to 64 points of a person: x = px, py, pz (m), intensity (half have none); the answer."""
    place, height = torch.rand(2) * 4 - 2, 1.5 + 0.5 * torch.rand(1)
    up = torch.rand(random.randint(5, 64))  # how far up the body a point is
    girth = torch.where(up > 0.87, 0.09, torch.where(up > 0.5, 0.2, 0.13))
    turn = 2 * math.pi * torch.rand(len(up))
    body = [place[0] + girth * turn.cos(), place[1] + girth * turn.sin(), up * height]
    pos = torch.stack(body, dim=1) + 0.05 * torch.randn(len(up), 3)
    intensity = torch.rand(len(up), 1) * (random.random() < 0.5)
    return torch.cat([pos, intensity], dim=1), torch.cat([place, height])


def people(count):
    """Several people as one graph: the arguments of forward, and the answers."""
    points, answers = zip(*(person() for _ in range(count)))
    batch = torch.arange(count).repeat_interleave(torch.tensor([len(x) for x in points]))
    x = torch.cat(points)
    return (x, within(x[:, :3], batch, RADIUS), batch), torch.stack(answers)


def molecule():
    """3 to 10 atoms, no two nearer than 0.8 of the pair's r: elements and positions (Å)."""
    kind, pos = torch.randint(4, (1,)), torch.zeros(1, 3)
    count = random.randint(3, 10)
    while len(kind) < count:
        new, anchor = torch.randint(4, (1,)), random.randrange(len(kind))
        length = random.uniform(0.85, 1.25) * (SIZE[new] + SIZE[kind[anchor]])
        place = pos[anchor] + normalize(torch.randn(3), dim=0) * length
        if ((pos - place).norm(dim=1) > 0.8 * (SIZE[new] + SIZE[kind])).all():
            kind, pos = torch.cat([kind, new]), torch.cat([pos, place[None]])
    return kind, (pos * 1e4).round() / 1e4


def energy(kind, pos):
    """The potential (eV) over all pairs within the cutoff."""
    i, j = torch.combinations(torch.arange(len(kind))).T
    d, depth = (pos[i] - pos[j]).norm(dim=1), (DEPTH[kind[i]] * DEPTH[kind[j]]).sqrt()
    pair = depth * ((1 - (-1.9 * (d - SIZE[kind[i]] - SIZE[kind[j]])).exp()) ** 2 - 1)
    return pair[d <= CUTOFF].sum()


def molecules(made):
    """Several molecules as one graph: the arguments of forward, and the energies."""
    kinds, places = zip(*made)
    batch = torch.arange(len(made)).repeat_interleave(torch.tensor([len(kind) for kind in kinds]))
    x, pos = one_hot(torch.cat(kinds), 4).float(), torch.cat(places)
    edges = within(pos, batch, CUTOFF)
    d = (pos[edges[0]] - pos[edges[1]]).norm(dim=1, keepdim=True)
    basis = (-(((d - CENTRES) / WIDTH) ** 2)).exp()
    return (x, edges, basis, batch), torch.stack([energy(*one) for one in made])[:, None]


def some_molecules():
    """The six of molecules.xyz."""
    random.seed(6)
    torch.manual_seed(6)
    return [molecule() for _ in range(6)]


def odometry(folder):
    """Rows t, x, y, yaw of a drive, from its poses, which are in the axes of a camera."""
    times = (folder / "times.txt").read_text().split()
    for t, pose in zip(times, np.loadtxt(folder / "poses.txt").reshape(-1, 3, 4)):
        (right, _, ahead), yaw = pose[:, 3], math.atan2(-pose[0, 2], pose[2, 2])
        yield [float(t), float(ahead), float(0 - right), yaw + 0.0]


def town():
    """30 people over 5 days (t in s): contacts at home, at work and by chance, tests, doses."""
    rng, day = random.Random(30), 86400
    names = [f"p{i:02}" for i in range(1, 31)]
    ill = {"p07": 203_040, "p08": 293_760, "p12": 311_040}  # when they tested positive
    contacts, tests = [], [[t, person, "positive"] for person, t in ill.items()]
    for start in range(0, 5 * day, day):
        for i, j in itertools.combinations(range(30), 2):
            home, work = i // 3 == j // 3, i % 5 == j % 5 and rng.random() < 0.5
            if home or work or rng.random() < 0.01:
                hour, length = (19, 1800) if home else (rng.randint(8, 16), rng.randint(60, 600))
                t = start + hour * 3600 + rng.randrange(1800)
                contacts.append([t, names[i], names[j], length])
        for person in rng.sample([name for name in names if name not in ill], 4):
            t = start + rng.randint(7, 20) * 3600 + rng.randrange(3600)
            tests.append([t, person, "negative"])
    vaccinated = rng.sample(names, 15)
    doses = [[rng.randrange(day), person, rng.randint(1, 2)] for person in vaccinated]
    doses += [[rng.randrange(2 * day, 5 * day), person, 3] for person in vaccinated[:4]]
    return sorted(contacts), sorted(tests), sorted(doses)


def table(path, head, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head.split(","), *rows])


def main():
    parser = argparse.ArgumentParser(description="Writes the tables of the examples.")
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--thalweg", default="thalweg", help="the program, for its street")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temp:
        rows = list(odometry(street(args.thalweg, f"{temp}/street", 20, 1)))
    table(args.out / "odometry.csv", "t,x,y,yaw", rows)
    contacts, tests, doses = town()
    table(args.out / "contacts.csv", "t,i,j,duration", contacts)
    table(args.out / "tests.csv", "t,person,result", tests)
    table(args.out / "vaccinations.csv", "t,person,doses", doses)
    with open(args.out / "molecules.xyz", "w", newline="") as file:
        for kind, pos in some_molecules():
            file.write(f"{len(kind)}\n{energy(kind, pos):.4f} eV by the made-up potential\n")
            for k, place in zip(kind, pos.tolist()):
                file.write(" ".join([ELEMENTS[k], *(f"{v:.4f}" for v in place)]) + "\n")


if __name__ == "__main__":
    main()
