"""Trains a two-layer GCN on Cora, exports it, and writes its graph as tables: the example of docs/own-network.md.

    python training/cora.py --data ../shared/data/graphs/planetoid/cora.npz
"""

import argparse

import numpy as np
import pandas
import torch
from torch.nn.functional import cross_entropy
from torch_geometric.nn import GCN
from torch_geometric.utils import to_undirected

from export import export

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="../shared/data/graphs/planetoid/cora.npz")
cora = np.load(parser.parse_args().data)
torch.manual_seed(1)
x = np.zeros(cora["shape"], np.float32)
x[np.repeat(np.arange(len(x)), np.diff(cora["feat_indptr"])), cora["feat_indices"]] = cora["feat_data"]
edges, labels = cora["edges"], torch.from_numpy(cora["labels"]).long()
graph = torch.from_numpy(x), to_undirected(torch.from_numpy(edges.T.astype(np.int64)), num_nodes=len(x))

network = GCN(x.shape[1], 16, num_layers=2, out_channels=7, dropout=0.5)
optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=5e-4)
for _ in range(200):
    network.train()
    optimizer.zero_grad()
    cross_entropy(network(*graph)[cora["train"]], labels[cora["train"]]).backward()
    optimizer.step()
logits = network.eval()(*graph).detach()
print(f"test accuracy {(logits.argmax(1) == labels)[cora['test']].float().mean():.3f}")

export(network, "cora.safetensors", licence="MIT", trained_on="Cora, public split")
pandas.DataFrame({"t": np.arange(len(edges)), "src": edges[:, 0], "dst": edges[:, 1]}).to_csv("edges.csv", index=False)
ids = [str(i) for i in range(len(x))]
pandas.DataFrame({"t": 0, "node": ids, "x": list(x), "label": labels}).to_parquet("nodes.parquet")
pandas.DataFrame({"node": ids, "y": list(logits.numpy())}).to_parquet("expected.parquet")
