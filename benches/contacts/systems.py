"""The systems: how each is started on a file of contacts in a folder of its own, and what its output there says."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = "1"  # between checkpoints, snapshots and epochs


class Thalweg:
    """`run gnn`. With `follow` the file may grow: it writes changes as they come, keeps checkpoints, ends when it is asked.

    Without, the answers come at the end of the file, and so does the only checkpoint.
    """

    name = "thalweg"

    def __init__(self, binary, model, *, follow=False, recovers=False, folder_out=False):
        self.binary, self.model = binary, model
        self.follow, self.recovers, self.folder_out = follow, recovers, follow or recovers or folder_out

    def prepare(self, folder):
        pass

    def command(self, contacts, folder, rate):
        command = [self.binary, "run", "gnn", "--edges", contacts, "--columns", "src=i,dst=j", "--model", self.model]
        command += ["--every", "3600", "--set", "window=3600", "--set", "undirected=true"]
        command += ["--output", f"{folder}/out/" if self.folder_out else f"{folder}/out.csv"]
        if self.follow:
            command += ["--follow", "--rate", str(rate), "--set", "emit=changes", "--set", f"segment_seconds={SECONDS}"]
        if self.recovers:
            command += ["--checkpoint", f"{folder}/checkpoints", "--set", f"checkpoint_seconds={SECONDS}"]
        return command, {}

    def let_end(self, process, log):
        """A run that follows is asked to end when it has read the file."""
        while self.follow and process.poll() is None:
            if "caught up" in log.read_text():
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.01)

    def answer(self, folder):
        rows = folder / "out.csv"
        if self.folder_out:
            subprocess.run([self.binary, "read", f"{folder}/out/", "--output", rows], check=True, capture_output=True)
        changes = defaultdict(Counter)
        for row in csv.DictReader(rows.open()):
            changes[int(row["as_of"])][row["node"], float(row["y"].strip("[]"))] += int(row.get("diff", 1))
        found, table = Counter(), Counter()
        for as_of in sorted(changes):
            if not self.follow:
                table.clear()
            table.update(changes[as_of])
            found.update({(as_of - 3600, *row): count for row, count in table.items() if count})
        return found


class Bytewax:
    """`bytewax_flow.py`, with recovery or without."""

    name = "Bytewax"

    def __init__(self, python, *, recovers=False):
        self.python, self.recovers = python, recovers

    def prepare(self, folder):
        if self.recovers:
            (folder / "recovery").mkdir()
            subprocess.run([self.python, "-m", "bytewax.recovery", folder / "recovery", "1"], check=True)

    def command(self, contacts, folder, rate):
        flow = f"{HERE}/bytewax_flow:flow({contacts!r}, {str(folder / 'out.csv')!r}, {rate})"
        recovery = ["-r", str(folder / "recovery"), "-s", SECONDS, "-b", "0"] if self.recovers else []
        return [self.python, "-m", "bytewax.run", flow, "-w", "1", *recovery], {}

    def let_end(self, process, log):
        pass

    def answer(self, folder):
        return Counter(row(*line) for line in csv.reader((folder / "out.csv").open()) if len(line) == 3)


class Pathway:
    """`pathway_flow.py`, with persistence or without."""

    name = "Pathway"

    def __init__(self, python, *, recovers=False):
        self.python, self.recovers = python, recovers

    def prepare(self, folder):
        pass

    def command(self, contacts, folder, rate):
        state = [f"{folder}/state"] if self.recovers else []
        return [self.python, f"{HERE}/pathway_flow.py", contacts, f"{folder}/out", str(rate), *state], {"PATHWAY_THREADS": "1"}

    def let_end(self, process, log):
        pass

    def answer(self, folder):
        found = Counter()
        for file in sorted((folder / "out").iterdir()):
            for line in csv.DictReader(file.open()):
                if line["diff"] in ("1", "-1"):  # a kill may have cut the last line
                    found[row(line["hour"], line["person"], line["partners"])] += int(line["diff"])
        return found


class Dbsp:
    """`dbsp/src/main.rs`, with checkpoints or without."""

    name = "dbsp"

    def __init__(self, binary, *, recovers=False):
        self.binary, self.recovers = binary, recovers

    def prepare(self, folder):
        pass

    def command(self, contacts, folder, rate):
        return [self.binary, contacts, f"{folder}/out.csv", str(rate), *([f"{folder}/state"] if self.recovers else [])], {}

    def let_end(self, process, log):
        pass

    def answer(self, folder):
        found = Counter()
        for line in csv.reader((folder / "out.csv").open()):
            found[row(*line[:3])] += int(line[3])
        return found


def row(hour, person, partners):
    return int(hour), person, float(partners)


def start(system, contacts, folder, rate=0):
    """Starts `system` on `contacts`, whose path is absolute; its log is overwritten."""
    command, env = system.command(contacts, folder, rate)
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env})


def end(system, process, folder):
    """Waits until `process` has done everything; what it says of a failure is an error."""
    system.let_end(process, folder / "log")
    if process.wait(timeout=600) != 0:
        sys.exit(f"{system.name} ended with {process.returncode}:\n{(folder / 'log').read_text()[-3000:]}")


def fresh(system, folder):
    """An empty folder for a run of `system`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    system.prepare(folder)
    return folder
