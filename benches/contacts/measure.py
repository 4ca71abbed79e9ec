"""Runs `thalweg run gnn`, Bytewax, Pathway and dbsp on one file of contacts, and writes target/bench/contacts.json.

The question: for each hour [3600 k, 3600 (k + 1)) and each person in it, how many partners the person had. thalweg answers with
a network that sums over the neighbours, each with the feature 1. Its window [T - 3600, T] holds both its ends. Stamps stand in
the middle of their slots of 20 s, so none falls on an hour. An output that is not the answer counted here, row by row, has no
figure. Times are wall time of the whole process, one worker each. Runs that are killed get their rows at a pace; thalweg
follows the file there.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch_geometric.nn import GraphConv

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "training")]
import cases  # noqa: E402
from export import export  # noqa: E402
from kills import compare, killed, undisturbed  # noqa: E402
from systems import Bytewax, Dbsp, Pathway, Thalweg, end, fresh, start  # noqa: E402

ROUNDS, PEOPLE, SLOT, SLOT_ROWS, HOUR = 3, 5000, 20, 100, 3600


class Degree(torch.nn.Module):
    """The number of neighbours."""

    def __init__(self):
        super().__init__()
        self.one, self.sum = torch.nn.Linear(1, 1), GraphConv(1, 1, aggr="add")
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.one.bias.fill_(1)
            self.sum.lin_rel.weight.fill_(1)

    def forward(self, x, edge_index):
        return self.sum(self.one(x), edge_index)


def write_contacts(path, rows, seed):
    """Writes contacts between people whose numbers are near each other, so that pairs meet again; returns the answer."""
    generator, partners = random.Random(seed), defaultdict(set)
    with open(path, "w") as out:
        out.write("t,i,j\n")
        for row in range(rows):
            t, i = SLOT * (row // SLOT_ROWS) + SLOT // 2, generator.randrange(PEOPLE)
            j = (i + 1 + min(int(generator.expovariate(0.5)), 50)) % PEOPLE
            if generator.random() < 0.5:
                i, j = j, i
            out.write(f"{t},p{i},p{j}\n")
            hour = t // HOUR * HOUR
            partners[hour, f"p{i}"].add(f"p{j}")
            partners[hour, f"p{j}"].add(f"p{i}")
    return Counter((*key, float(len(others))) for key, others in partners.items())


def timed(system, contacts, folder, expected):
    """Wall seconds of a whole run; none where its answer is another."""
    fresh(system, folder)
    began = time.perf_counter()
    end(system, start(system, contacts, folder), folder)
    seconds = time.perf_counter() - began
    differs = compare(expected, system.answer(folder))
    if sum(differs.values()):
        print(f"{system.name}: another answer, {dict(differs)}", file=sys.stderr)
        return None
    return seconds


def speeds(ways, contacts, folder, expected):
    """Median seconds of each of `ways`, in turn; those with another answer are left out."""
    seconds = defaultdict(list)
    for _ in range(ROUNDS):
        for way, system in ways.items():
            seconds[way].append(timed(system, contacts, folder, expected))
    return {way: statistics.median(runs) for way, runs in seconds.items() if None not in runs}


def case(name, unit, figures, goal=None):
    """A case of a figure a system, thalweg's first."""
    if "thalweg" not in figures:
        sys.exit(f"{name}: thalweg has no figure")
    peers = {system: figure for system, figure in figures.items() if system != "thalweg"}
    return {"case": name, "unit": unit, "ours": figures["thalweg"], "peers": peers, "goal": goal}


def has(python, module):
    if python and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
        return True
    print(f"skipped: {module}, which $PEERS_PYTHON does not have", file=sys.stderr)
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=2_000_000, help="contacts of the timing")
    parser.add_argument("--killed-rows", type=int, default=300_000, help="contacts of the runs that are killed")
    parser.add_argument("--seconds", type=float, default=20, help="how long such a run takes if nothing happens")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", help="a Python with the peers")
    parser.add_argument("--dbsp", help="the program of `dbsp/`")
    asked = parser.parse_args()
    peers = [(peer, asked.python) for peer, module in ((Bytewax, "bytewax"), (Pathway, "pathway")) if has(asked.python, module)]
    if asked.dbsp:
        peers.append((Dbsp, asked.dbsp))
    else:
        print("skipped: dbsp, which is not built: see run", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        contacts, run = str(folder / "contacts.csv"), folder / "run"
        export(Degree(), folder / "degree.safetensors")
        ours = lambda **how: Thalweg(asked.binary, str(folder / "degree.safetensors"), **how)
        figures = []

        answer = write_contacts(contacts, asked.rows, asked.seed)
        ways = {("thalweg", "file"): ours(), ("thalweg", "plain"): ours(folder_out=True)}
        ways |= {("thalweg", "recovers"): ours(recovers=True)}
        for peer, program in peers:
            ways |= {(peer.name, "plain"): peer(program), (peer.name, "recovers"): peer(program, recovers=True)}
        seconds = speeds(ways, contacts, run, answer)
        rates = lambda way: {name: round(asked.rows / took) for (name, kind), took in seconds.items() if kind == way}
        figures.append(case("contacts: partners an hour", "rows a second", rates("plain") | rates("file")))
        figures.append(case("contacts: the same with recovery", "rows a second", rates("recovers")))
        plain, kept = rates("plain"), rates("recovers")
        added = {name: round(100 * (plain[name] / kept[name] - 1), 1) for name in kept if name in plain}
        figures.append(case("contacts: time that recovery adds", "%", added))

        answer = write_contacts(contacts, asked.killed_rows, asked.seed + 1)
        pace = asked.killed_rows / SLOT_ROWS * SLOT / asked.seconds
        pairs = [(ours(follow=True), ours(follow=True, recovers=True))]
        pairs += [(peer(program), peer(program, recovers=True)) for peer, program in peers]
        processor, costs, wrong = {}, {}, {}
        for plain, system in pairs:
            _, without, differs = undisturbed(plain, contacts, run, pace, answer)
            length, cost, also = undisturbed(system, contacts, run, pace, answer)
            if sum((differs + also).values()):
                print(f"{system.name}: another answer when nobody kills it", file=sys.stderr)
                continue
            processor[system.name], costs[system.name] = round(cost, 2), round(100 * (cost / without - 1), 1)
            how = {"kills": asked.kills, "length": length, "random": random.Random(asked.seed)}
            wrong[system.name], runs = killed(system, contacts, run, pace, answer, **how)
            print(f"{system.name}: {asked.kills} kills in {runs} runs of {len(answer)} rows", file=sys.stderr)
        paced = f"contacts: {round(asked.killed_rows / asked.seconds)} rows a second"
        figures.append(case(f"{paced}, with recovery", "processor s", processor))
        figures.append(case(f"{paced}, what recovery adds", "% processor", costs))
        for what in ("lost", "doubled", "different"):
            name = f"contacts: rows {what} over {asked.kills} kills"
            figures.append(case(name, "rows", {system: sums[what] for system, sums in wrong.items()}, goal=0))
    cases.write("contacts", figures)


if __name__ == "__main__":
    main()
