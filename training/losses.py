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


def segmentation_loss(logits, target, weight, class_weight, group_of, groups):
    """Cross-entropy over classes, and Lovász over classes and over groups."""
    known = target >= 0
    logits, target, weight = logits[known], target[known], weight[known]
    node_weight = class_weight[target] * weight
    smooth = F.cross_entropy(logits, target, reduction="none", label_smoothing=0.05)
    entropy = (smooth * node_weight).sum() / node_weight.sum()
    probabilities = torch.softmax(logits, 1)
    some = torch.randperm(len(target))[:16384]  # sorting every node would be a sixth of the step
    target, weight, probabilities = target[some], weight[some], probabilities[some]
    pooled = torch.zeros(len(target), groups).index_add(1, group_of, probabilities)
    return entropy + 0.5 * lovasz(probabilities, target, weight) + lovasz(pooled, group_of[target], weight)
