"""Scores an exported model on the validation split, per class and per group, over all points of the raw frames.

    python training/evaluate.py driving [--model models/driving.safetensors ...] [--calibrate]
    python training/evaluate.py driving --split nuscenes

`--calibrate` fits the softmax temperature on the validation frames and writes it into the file. Of several models the
mean of their probabilities is scored. `--split nuscenes` scores the four images of `val`, another sensor in another city.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import data
from graph import GEOMETRY, build_pyramid
from network import load, tensors
from settings import MODELS, VALIDATION_SEQUENCES

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "lidar"


def decide(logits, config):
    """Class index per node: the most probable class, or the best class of the most probable group."""
    if config["decision"] == "class":
        return logits.argmax(1)
    ids = [c["id"] for c in config["classes"]]
    probabilities = np.exp(logits / config.get("temperature", 1.0) - logits.max(1, keepdims=True))
    members = [[ids.index(i) for i in group["ids"]] for group in config["groups"]]
    best = np.stack([probabilities[:, m].sum(1) for m in members], 1).argmax(1)
    out = np.zeros(len(logits), np.int64)
    for g, m in enumerate(members):
        rows = best == g
        out[rows] = np.array(m)[logits[rows][:, m].argmax(1)]
    return out


class Score:
    """A confusion matrix over the classes, [truth, prediction]."""

    def __init__(self, config):
        self.config = config
        self.ids = [c["id"] for c in config["classes"]]
        self.confusion = np.zeros((len(self.ids), len(self.ids)), np.int64)

    def add(self, labels, predicted):
        index = np.full(256, -1)
        index[self.ids] = np.arange(len(self.ids))
        truth = index[labels]
        known = truth >= 0
        n = len(self.ids)
        self.confusion += np.bincount(truth[known] * n + predicted[known], minlength=n * n).reshape(n, n)

    @staticmethod
    def _iou(confusion):
        true = np.diag(confusion)
        return true / np.maximum(confusion.sum(0) + confusion.sum(1) - true, 1)

    def classes(self):
        """`(names, points, IoU)`; the mean is over classes with at least 100 true points."""
        return [c["name"] for c in self.config["classes"]], self.confusion.sum(1), self._iou(self.confusion)

    def groups(self):
        place = {i: g for g, group in enumerate(self.config["groups"]) for i in group["ids"]}
        where = np.array([place[i] for i in self.ids])
        n = len(self.config["groups"])
        pooled = np.zeros((n, n), np.int64)
        np.add.at(pooled, (where[:, None], where[None, :]), self.confusion)
        return [g["name"] for g in self.config["groups"]], pooled.sum(1), self._iou(pooled)

    def means(self):
        """`(group mIoU, class mIoU)`."""
        _, points, iou = self.groups()
        _, class_points, class_iou = self.classes()
        return iou[points > 0].mean(), class_iou[class_points >= 100].mean()

    def table(self):
        lines = ["| name | true points | IoU |", "|---|---|---|"]
        for names, points, iou in (self.groups(), self.classes()):
            for name, p, v in zip(names, points, iou):
                lines.append(f"| {name} | {p:,} | {v:.3f} |" if p else f"| {name} | 0 | |")
            lines.append("| | | |")
        group, classes = self.means()
        lines[-1] = f"| mean over groups / over classes (at least 100 points) | | {group:.3f} / {classes:.3f} |"
        return "\n".join(lines)


# What nuScenes' labels mean in the groups that both know; vegetation and terrain are one label there and left out.
CARRIED = {
    "ground": ([9, 103], [9, 10, 11, 12, 17]),
    "vehicle": ([1, 104, 5], [1, 4, 5]),
    "structure": ([101, 14], [13, 14, 18, 19]),
    "people and two-wheelers": ([6, 105], [2, 3, 6, 7, 8]),
}


def carried_over(model, prepared, config):
    """`{group: (true points, IoU)}` over the images of another sensor."""
    ids = np.array([c["id"] for c in config["classes"]])
    counts = {group: np.zeros(3, np.int64) for group in CARRIED}
    with torch.no_grad():
        for levels, node_of, labels, _ in prepared:
            found = ids[decide(model(levels).numpy(), config)][node_of]
            known = np.isin(labels, [i for true, _ in CARRIED.values() for i in true])
            for group, (true, own) in CARRIED.items():
                t, f = np.isin(labels[known], true), np.isin(found[known], own)
                counts[group] += [(t & f).sum(), (t | f).sum(), t.sum()]
    return {group: (int(c[2]), c[0] / max(c[1], 1)) for group, c in counts.items()}


class Ensemble(torch.nn.Module):
    """Several networks as one: the logarithm of the mean of their probabilities. They may differ in how they take heights."""

    def __init__(self, models, configs):
        super().__init__()
        self.models, self.configs = torch.nn.ModuleList(models), configs

    def forward(self, levels):
        each = [torch.softmax(m(self.as_trained(levels, c)) / c["temperature"], 1) for m, c in zip(self.models, self.configs)]
        return torch.log(torch.stack(each).mean(0).clamp_min(1e-8))

    def as_trained(self, levels, config):
        """`levels` were made for the first configuration: heights above the sensor where another wants them."""
        if config["inputs"] == self.configs[0]["inputs"]:
            return levels
        if config["inputs"] != ["z" if name == "above_ground" else name for name in self.configs[0]["inputs"]]:
            raise ValueError(f"inputs {config['inputs']}, expected {self.configs[0]['inputs']}")
        column, features = GEOMETRY + len(config["columns"]) + config["inputs"].index("z"), levels[0]["features"].clone()
        features[:, column] = levels[0]["positions"][:, 2] * config["input_scales"][config["inputs"].index("z")]
        return [{**levels[0], "features": features}, *levels[1:]]


def open_models(paths):
    """One network, or the ensemble of several, and the configuration."""
    loaded = [load(path) for path in paths]
    if len(loaded) == 1:
        return loaded[0]
    ensemble = Ensemble([m for m, _ in loaded], [c for _, c in loaded]).eval()
    return ensemble, {**loaded[0][1], "temperature": 1.0}


def prepare(frames, config):
    """`(tensors, node of each point, labels, group)` per frame."""
    out = []
    for frame in frames:
        pyramid = build_pyramid(frame.positions, frame.extras, config)
        out.append((tensors(pyramid), pyramid.node_of, frame.labels, frame.group))
    return out


def run(model, prepared, config):
    """Scores by frame group, and the logits with labels of every labelled point (for the temperature)."""
    scores, kept = {}, []
    model.eval()
    with torch.no_grad():
        for levels, node_of, labels, group in prepared:
            logits = model(levels).numpy()
            predicted = decide(logits, config)[node_of]
            for key in (group, "all"):
                scores.setdefault(key, Score(config)).add(labels, predicted)
            kept.append((logits[node_of][::7], labels[::7]))
    return scores, kept


def fit_temperature(kept, config):
    """Minimises the negative log-likelihood of the labelled points over T, by golden section in log T."""
    ids = [c["id"] for c in config["classes"]]
    index = np.full(256, -1)
    index[ids] = np.arange(len(ids))
    logits = np.concatenate([k[0] for k in kept])
    truth = index[np.concatenate([k[1] for k in kept])]
    logits, truth = torch.from_numpy(logits[truth >= 0]), torch.from_numpy(truth[truth >= 0])

    def loss(log_t):
        return torch.nn.functional.cross_entropy(logits / np.exp(log_t), truth).item()

    low, high, ratio = -1.5, 2.5, (np.sqrt(5) - 1) / 2
    for _ in range(24):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


def calibration_error(kept, config, bins=15):
    """Expected calibration error of the class probabilities at the file's temperature."""
    ids = [c["id"] for c in config["classes"]]
    logits = np.concatenate([k[0] for k in kept]) / config["temperature"]
    labels = np.concatenate([k[1] for k in kept])
    known = np.isin(labels, ids)
    probabilities = torch.softmax(torch.from_numpy(logits[known]), 1).numpy()
    best = probabilities.argmax(1)
    right = np.array(ids)[best] == labels[known]
    confidence = probabilities.max(1)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).mean()
               for b in range(bins) if (place == b).any())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--model", nargs="*")
    parser.add_argument("--drives", default=",".join(VALIDATION_SEQUENCES), help="driving: the drives of the validation split")
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--drop", default="", help="zero these inputs, comma-separated: how the model fares without")
    parser.add_argument("--calibrate", action="store_true")
    options = parser.parse_args()
    paths = options.model or [ROOT / "models" / f"{options.name}.safetensors"]
    model, config = open_models(paths)
    if options.split == "nuscenes":
        frames = data.nuscenes_images(options.data, "val")
        for group, (points, iou) in carried_over(model, prepare(frames, config), config).items():
            print(f"| {group} | {points:,} | {iou:.3f} |")
        return
    frames = data.load(options.name, options.data, options.split, options.drives.split(","))
    for frame in frames:
        for name in filter(None, options.drop.split(",")):
            frame.extras[name][:] = 0
    scores, kept = run(model, prepare(frames, config), config)
    if options.calibrate:
        config["temperature"] = round(fit_temperature(kept, config), 4)
        if len(paths) > 1:
            parser.error("--calibrate writes into one file")
        path = paths[0]
        with safe_open(path, "pt") as file:
            config = {**json.loads(file.metadata()["thalweg"]), "temperature": config["temperature"]}
        save_file(load_file(path), path, metadata={"thalweg": json.dumps(config, sort_keys=True)})
    for group, score in scores.items():
        print(f"\n## {group}\n{score.table()}")
    print(f"\ntemperature {config['temperature']}, expected calibration error {calibration_error(kept, config):.3f}")


if __name__ == "__main__":
    main()
