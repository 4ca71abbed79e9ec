"""Weighted cross-entropy and the Lovász-softmax loss (Berman et al. 2018), a surrogate of one minus the mean IoU."""

import torch
import torch.nn.functional as F


def lovasz(probabilities, target, weight):
    """Mean over the classes present: `probabilities [n, c]`, `target [n]`, `weight [n]` (points a node stands for)."""
    losses = []
    for c in torch.unique(target):
        truth = (target == c).float()
        errors = (truth - probabilities[:, c]).abs()
        errors, order = torch.sort(errors, descending=True)
        truth, w = truth[order], weight[order]
        positives = (truth * w).sum()
        intersection = positives - (truth * w).cumsum(0)
        union = positives + ((1 - truth) * w).cumsum(0)
        jaccard = 1 - intersection / union
        steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        losses.append((errors * steps).sum())
    return torch.stack(losses).mean()


def set_entropy(logits, target, members):
    """-log of the summed probability of each row's set: `members [sets, classes]` of 0 and 1, `target [n]` sets."""
    inside = torch.where(members[target] > 0, logits, torch.full_like(logits, -1e9))
    return torch.logsumexp(logits, 1) - torch.logsumexp(inside, 1)


def distillation_loss(logits, taught, weight):
    """Cross-entropy against the teachers' probabilities `[n, classes]`, over all nodes, labelled or not (Hinton et al. 2015)."""
    entropy = -(taught * F.log_softmax(logits, 1)).sum(1)
    weight = weight.clamp_min(1.0)  # nodes without labels stand for a point
    return (entropy * weight).sum() / weight.sum()


def segmentation_loss(logits, target, weight, class_weight, group_of, groups, members):
    """Cross-entropy over classes, and Lovász over classes and over groups.

    A target of `classes + s` is the set `s` of `members [sets, classes]`: one of several classes, which is unknown.
    """
    classes = logits.shape[1]
    known = target >= 0
    if not known.any():
        return logits.sum() * 0.0
    logits, target, weight = logits[known], target[known], weight[known]
    exact = target < classes
    set_weight = (members @ class_weight) / members.sum(1)
    node_weight = torch.cat([class_weight, set_weight])[target] * weight
    entropy = torch.zeros(len(target))
    entropy[exact] = F.cross_entropy(logits[exact], target[exact], reduction="none", label_smoothing=0.05)
    if not exact.all():
        entropy[~exact] = set_entropy(logits[~exact], target[~exact] - classes, members)
    entropy = (entropy * node_weight).sum() / node_weight.sum()
    if not exact.any():
        return entropy
    logits, target, weight = logits[exact], target[exact], weight[exact]
    some = torch.randperm(len(target))[:16384]  # sorting every node would be a sixth of the step
    target, weight = target[some], weight[some]
    probabilities = torch.softmax(logits[some], 1)
    pooled = torch.zeros(len(target), groups).index_add(1, group_of, probabilities)
    return entropy + 0.5 * lovasz(probabilities, target, weight) + lovasz(pooled, group_of[target], weight)
