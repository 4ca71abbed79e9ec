"""The floor: a random forest on the hand-made features, on the same split and scored the same way.

    python training/baseline.py driving

Each level-0 node has the geometry features of its own graph and of its nodes in the levels above, its heights above
ground and its scalar inputs; no learning over neighbours.
"""

import argparse

import numpy as np
from sklearn.ensemble import RandomForestClassifier

import data
from evaluate import DATA, Score
from graph import GEOMETRY, build_pyramid
from settings import MODELS


def features(frame, config):
    pyramid = build_pyramid(frame.positions, frame.extras, config)
    out = [pyramid.levels[0].features]
    node = np.arange(len(pyramid.levels[0].points))
    for below, level in zip(pyramid.levels, pyramid.levels[1:]):
        node = below.parent[node]
        out.append(level.features[node, :GEOMETRY])
    return np.concatenate(out, 1), pyramid.node_of


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3000, help="training nodes a frame")
    parser.add_argument("--data", default=DATA)
    options = parser.parse_args()
    config = MODELS[options.name]
    ids = [c["id"] for c in config["classes"]]
    rng = np.random.default_rng(options.seed)
    rows, truth = [], []
    for frame in data.load(options.name, options.data, "train"):
        x, node_of = features(frame, config)
        target, _ = data.node_labels(frame.labels, node_of, len(x), ids)
        known = np.flatnonzero(target >= 0)
        picked = rng.choice(known, min(options.nodes, len(known)), replace=False)
        rows.append(x[picked])
        truth.append(target[picked])
    forest = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced_subsample",
                                    random_state=options.seed, n_jobs=1)
    forest.fit(np.concatenate(rows), np.concatenate(truth))
    scores = {}
    for frame in data.load(options.name, options.data, "validation"):
        x, node_of = features(frame, config)
        predicted = forest.classes_[forest.predict_proba(x).argmax(1)][node_of]
        for key in (frame.group, "all"):
            scores.setdefault(key, Score(config)).add(frame.labels, predicted)
    for group, score in scores.items():
        print(f"\n## {group}\n{score.table()}")


if __name__ == "__main__":
    main()
