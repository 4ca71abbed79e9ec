"""Trains one of the shipped networks and exports it to models/.

    python training/train.py driving --seed 1 --steps 1000
    python training/train.py airborne --seed 1 --steps 1200
    python training/train.py driving-open --own simulated/ --leave-out 28,29,30 --licence "MIT OR Apache-2.0: simulated drives" --steps 1000
    python training/train.py driving --own drives/ --leave-out 08 --output mine.safetensors

Resumes from models/checkpoints/ when a run of the same name and seed was cut off, also with more steps than before. Every sample is a function of
(seed, step), so the data order does not depend on the number of loader processes or on interruptions.
"""

import argparse
import copy
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch

import augment
import data
from evaluate import DATA, ROOT, fit_temperature, open_models, prepare, run
from graph import build_pyramid
from losses import distillation_loss, segmentation_loss
from network import GraphUNet, export, folded_weights, has_intensity, tensors
from settings import MODELS, SETS, VALIDATION_SEQUENCES

LICENCE = {
    "driving": "CC BY-NC-SA 4.0 (NON-COMMERCIAL): trained on KITTI / SemanticKITTI",
    "airborne": "Licence Ouverte / Etalab 2.0: trained on IGN LiDAR HD",
}
TRAINED_ON = {
    "driving": "SemanticKITTI drives, first ten frames each; nuScenes range images; objects and sweeps of KITTI raw drives",
    "airborne": "IGN LiDAR HD tiles of IGNF/ign-pdal-tools, IGNF/las-digital-models and IGNF/lidar-prod",
}


class Samples(torch.utils.data.Dataset):
    def __init__(self, name, config, frames, objects, seed, steps, start):
        self.config, self.seed = config, seed
        self.frames = augment.pools_of(frames) if name != "airborne" else frames
        self.start, self.steps = start, steps
        self.classes = [c["id"] for c in config["classes"]] + (list(SETS) if name != "airborne" else [])
        self.objects = objects

    def __len__(self):
        return self.steps - self.start

    def __getitem__(self, i):
        rng = np.random.default_rng([self.seed, self.start + i])
        parts, points = [], 0
        # one scan, or windows of tiles until there are about as many points as in a small scan
        while points < 25000 and len(parts) < 4:
            if self.objects is not None:
                sample = augment.driving_sample(rng, self.frames, self.objects)
                points = np.inf
            else:
                sample = augment.airborne_sample(rng, self.frames)
                points += len(sample[0])
            positions, extras, labels = sample
            if len(positions) < 200:
                continue
            pyramid = build_pyramid(positions, extras, self.config)
            target, count = data.node_labels(labels, pyramid.node_of, len(pyramid.levels[0].points), self.classes)
            parts.append((tensors(pyramid), torch.from_numpy(target), torch.from_numpy(np.sqrt(count).astype(np.float32))))
        return join([p[0] for p in parts]), torch.cat([p[1] for p in parts]), torch.cat([p[2] for p in parts])


def join(graphs):
    """Several frames' levels as one frame's: disjoint graphs side by side.

    Shorter neighbour lists are filled with repeats of the nearest, which changes no maximum.
    """
    if len(graphs) == 1:
        return graphs[0]
    out, depth = [], len(graphs[0])
    for l in range(depth):
        levels = [graph[l] for graph in graphs]
        k = max(level["neighbours"].shape[1] for level in levels)
        start, above = 0, 0
        neighbours, parents = [], []
        for graph, level in zip(graphs, levels):
            lists = level["neighbours"]
            if lists.shape[1] == 0:  # a lone node: itself stands in
                lists = torch.arange(len(level["positions"]), dtype=torch.int32)[:, None]
            neighbours.append(torch.cat([lists, lists[:, :1].expand(-1, k - lists.shape[1])], 1) + start)
            parents.append(level["parent"] + above)
            start += len(level["positions"])
            above += len(graph[l + 1]["positions"]) if l + 1 < depth else 0
        out.append({
            "positions": torch.cat([level["positions"] for level in levels]),
            "features": torch.cat([level["features"] for level in levels]),
            "neighbours": torch.cat(neighbours).contiguous(),
            "parent": torch.cat(parents),
        })
    return out


def class_weights(frames, classes):
    """Inverse square root of the share of points, mean 1 over the points, at most 8 times the median class."""
    counts = sum(np.bincount(f.labels, minlength=256) for f in frames)[classes].astype(float)
    weight = 1 / np.sqrt(np.maximum(counts, 1000) / counts.sum())
    weight = np.minimum(weight, 8 * np.median(weight))
    return torch.tensor(weight / (weight * counts / counts.sum()).sum(), dtype=torch.float32)


def settle_norms(model, loader_samples):
    """Re-estimates the normalisation statistics of averaged weights as plain means over samples."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    with torch.no_grad():
        for levels in loader_samples:
            model(levels)
    model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--leave-out", default=",".join(VALIDATION_SEQUENCES),
                        help="the drives to validate on, comma-separated; empty trains on all there is, the validation tiles of airborne too")
    parser.add_argument("--temperature", type=float, default=1.0,
                        help="what the logits are divided by, where no drive is left out to fit it on")
    parser.add_argument("--own", help="driving: folder of drives of your own in KITTI's layout, which are trained on instead of KITTI")
    parser.add_argument("--licence", help="what the file says of its weights' licence, where the data are your own")
    parser.add_argument("--simulated", help="driving: folder of drives that `thalweg simulate street` wrote")
    parser.add_argument("--teachers", nargs="*", default=[],
                        help="driving: files of networks; their mean probabilities are learnt beside the labels, on unlabelled drives too")
    parser.add_argument("--begin", help="checkpoint of another run whose averaged weights this one begins with")
    parser.add_argument("--teaching", type=float, default=2.0, help="weight of what the teachers say against the labels")
    parser.add_argument("--output")
    parser.add_argument("--every", type=int, default=250, help="steps between validations and checkpoints")
    parser.add_argument("--loaders", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    name, config = options.name, MODELS[options.name]
    driving = name != "airborne"
    if name == "driving-open" and not options.own:
        parser.error("driving-open learns from --own drives alone, such as `thalweg simulate street` writes")
    output = Path(options.output or ROOT / "models" / f"{name}.safetensors")
    checkpoint = ROOT / "models" / "checkpoints" / f"{output.stem}-{options.seed}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)

    left_out = [drive for drive in options.leave_out.split(",") if drive]
    objects, members = None, torch.zeros(0, len(config["classes"]))
    if driving and options.own:
        config = {key: value for key, value in config.items() if key != "trained_range"}  # KITTI's, which says nothing of these
        drives = sorted(p.parent.name for p in Path(options.own).glob("*/velodyne"))
        left_out = [d for d in left_out if d in drives]
        frames = data.kitti_frames(options.own, "own", but=left_out)
        held = data.kitti_frames(options.own, "own", but=[d for d in drives if d not in left_out])
        if not frames or (options.leave_out and not held):
            parser.error(f"{options.own}: found the drives {drives}, expected some to train on and some to --leave-out")
    else:
        frames = data.load(name, options.data, "train", left_out)
        held = data.load(name, options.data, "validation", left_out)
    if driving:
        held = held[::3]
        objects = augment.objects_of(frames)
        members = torch.tensor([[float(c["id"] in s) for c in config["classes"]] for s in SETS.values()])
    held = prepare(held, config)
    ids = [c["id"] for c in config["classes"]]
    place = {i: g for g, group in enumerate(config["groups"]) for i in group["ids"]}
    group_of, groups = torch.tensor([place[i] for i in ids]), len(config["groups"])
    weight = class_weights(frames, ids)
    if driving and not options.own:
        for c, more in augment.boxed_objects(data.raw_frames(options.data)).items():
            objects.setdefault(c, []).extend(more)
        frames = frames + data.nuscenes_images(options.data, "train")
        frames += data.raw_frames(options.data) if options.teachers else []
    if options.simulated:
        frames = frames + data.kitti_frames(options.simulated, "sim")
    teacher = open_models(options.teachers)[0] if options.teachers else None

    model = GraphUNet(config, dropout=options.dropout)
    if options.begin:
        model.load_state_dict(torch.load(options.begin)["average"])
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=options.decay)
    # warm up, hold, fall: until the fall the run does not depend on its length, so a longer one can resume it
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min(1.0, (s + 1) / 100) * min(1.0, (options.steps - s) / (0.4 * options.steps))
    )
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        start = state["step"]
        for key, value in (("model", model), ("average", average), ("optimiser", optimiser)):
            value.load_state_dict(state[key])
        schedule.last_epoch = start
        torch.set_rng_state(state["random"])
    print(f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(frames)} frames, "
          f"classes {np.round(weight.numpy(), 2)}, from step {start}", flush=True)

    samples = Samples(name, config, frames, objects, options.seed, options.steps, start)
    loader = torch.utils.data.DataLoader(samples, None, num_workers=options.loaders, prefetch_factor=4)
    began, total, recent = time.time(), 0.0, {True: deque(maxlen=40), False: deque(maxlen=40)}
    for step, (levels, target, count) in enumerate(loader, start + 1):
        model.train()
        logits = model(levels)
        loss = segmentation_loss(logits, target, count, weight, group_of, groups, members)
        if teacher is not None:
            with torch.no_grad():
                taught = torch.softmax(teacher(levels), 1)
            loss = loss + options.teaching * distillation_loss(logits, taught, count)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        model.keep_scales_positive()
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters()):
                a.lerp_(p, 1 - decay)
        total += loss.item()
        recent[has_intensity(levels, config)].append(levels)
        if step % 50 == 0:
            print(f"step {step} loss {total / 50:.3f} {time.time() - began:.0f} s", flush=True)
            total = 0.0
        if step % options.every == 0 or step == options.steps:
            bare = None
            if len(recent[False]) >= 10:
                settle_norms(average, recent[False])
                bare = folded_weights(average)
            settle_norms(average, recent[True] or recent[False])
            scores, kept = run(average, held, config)
            text = "  ".join(f"{k}: {s.means()[0]:.3f} / {s.means()[1]:.3f}" for k, s in scores.items())
            print(f"step {step} validation mIoU groups / classes  {text or '-'}", flush=True)
            extra = {
                "temperature": round(fit_temperature(kept, config), 4) if kept else options.temperature,
                "licence": (options.licence or "your own data") if options.own else LICENCE[name],
                "trained_on": (options.own or TRAINED_ON[name]) + f"; seed {options.seed}, {step} of {options.steps} steps",
            }
            export(average, output, extra, bare)
            torch.save({"step": step, "model": model.state_dict(), "average": average.state_dict(),
                        "optimiser": optimiser.state_dict(), "random": torch.get_rng_state()}, checkpoint)
    if held:
        print(scores["all"].table())


if __name__ == "__main__":
    main()
