"""PyTorch Geometric's layers for `benches/run layers`: reads a case a line, answers with milliseconds of CPU time of one full pass.

`stock` is as it comes. `tuned` merges nothing and caches nothing, but lets the allocator keep large blocks (set by the bench) and denormals be zeros.
"""

import sys
import time

import torch
from torch_geometric.nn import EdgeConv, GATConv, GATv2Conv, GCNConv, GraphConv, SAGEConv

NODES, K, CHANNELS = 100_000, 16, 64
torch.set_num_threads(1)
if sys.argv[1] == "tuned":
    torch.set_flush_denormal(True)
torch.manual_seed(1)
dst = torch.arange(NODES).repeat_interleave(K)
src = (dst + torch.randint(-1000, 1001, dst.shape)) % NODES
edges, x = torch.stack([src, dst]), torch.rand(NODES, CHANNELS) * 2 - 1
linear = torch.nn.Linear
layers = {
    "GCN": GCNConv(CHANNELS, CHANNELS),
    "SAGE mean": SAGEConv(CHANNELS, CHANNELS),
    "SAGE max": SAGEConv(CHANNELS, CHANNELS, aggr="max"),
    "GraphConv": GraphConv(CHANNELS, CHANNELS),
    "EdgeConv, one linear": EdgeConv(linear(2 * CHANNELS, CHANNELS)),
    "EdgeConv, two linears": EdgeConv(
        torch.nn.Sequential(linear(2 * CHANNELS, CHANNELS), torch.nn.ReLU(), linear(CHANNELS, CHANNELS))
    ),
    "GAT": GATConv(CHANNELS, CHANNELS),
    "GATv2": GATv2Conv(CHANNELS, CHANNELS),
}
print("ready", flush=True)
for line in sys.stdin:
    with torch.no_grad():
        start = time.process_time()
        layers[line.strip()](x, edges)
        print((time.process_time() - start) * 1e3, flush=True)
