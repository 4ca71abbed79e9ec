"""Layers that turn with the molecule: E_GCL of EGNN, and PaiNN's two blocks. PyTorch Geometric has no public class for them.

Arguments, parameters and their names are those of the authors' code, and of the layers of the same names in Rust
(`src/layers/egnn.rs`, `src/layers/painn.rs`). `export.py` writes them as such. Messages go from `edge_index[0]` to
`edge_index[1]`. Aggregation is a sum where nothing else is said.

A node's vectors are one row of `3 n` numbers: the x components of all `n` channels, then y, then z. A PaiNN network begins with
vectors of zero, and makes filters and directions of edges from the columns of `edge_attr`:

    q = self.embed(x)
    mu = torch.cat([q, q, q], 1) * 0
    q, mu = self.message(q, mu, edge_index, self.filters(edge_attr[:, 3:]), edge_attr[:, :3])
    q, mu = self.update(q, mu)
"""

import torch
from torch import nn

ACTIVATIONS = {"SiLU": nn.SiLU, "ReLU": nn.ReLU, "Tanh": nn.Tanh}


class E_GCL(nn.Module):
    """The layer of EGNN: Satorras et al., "E(n) Equivariant Graph Neural Networks", ICML 2021, eq. 3 to 6.

        m_ij = edge_mlp(h_i, h_j, |p_i - p_j|^2, e_ij)
        p'_i = p_i + aggregate_j (p_i - p_j) coord_mlp(m_ij)
        h'_i = h_i + node_mlp(h_i, sum_j m_ij)

    Takes `h` `[nodes, input_nf]`, positions `[nodes, 3]`, and with `edges_in_d` `edge_attr` `[edges, edges_in_d]`. Gives
    `[nodes, output_nf]` and positions. With `attention` a message is multiplied by a gate made of it. With `normalize` the
    difference of positions has length 1, with `tanh` its factor is bounded. `coords_agg` is "mean" or "sum".
    """

    def __init__(self, input_nf, output_nf, hidden_nf, edges_in_d=0, act_fn="SiLU", residual=True, attention=False,
                 normalize=False, coords_agg="mean", tanh=False):
        super().__init__()
        if residual and input_nf != output_nf:
            raise ValueError(f"residual=True needs output_nf = input_nf, found {output_nf} and {input_nf}")
        if coords_agg not in ("mean", "sum"):
            raise ValueError(f'coords_agg is "{coords_agg}"; "mean" and "sum" are there')
        act = ACTIVATIONS[act_fn]
        self.input_nf, self.output_nf, self.hidden_nf, self.edges_in_d = input_nf, output_nf, hidden_nf, edges_in_d
        self.act_fn, self.residual, self.attention, self.normalize = act_fn, residual, attention, normalize
        self.coords_agg, self.tanh = coords_agg, tanh
        self.edge_mlp = nn.Sequential(
            nn.Linear(2 * input_nf + 1 + edges_in_d, hidden_nf), act(), nn.Linear(hidden_nf, hidden_nf), act())
        self.node_mlp = nn.Sequential(nn.Linear(hidden_nf + input_nf, hidden_nf), act(), nn.Linear(hidden_nf, output_nf))
        self.coord_mlp = nn.Sequential(nn.Linear(hidden_nf, hidden_nf), act(), nn.Linear(hidden_nf, 1, bias=False))
        if attention:
            self.att_mlp = nn.Sequential(nn.Linear(hidden_nf, 1), nn.Sigmoid())

    def forward(self, h, pos, edge_index, edge_attr=None):
        source, own = edge_index
        difference = pos[own] - pos[source]
        d2 = (difference ** 2).sum(1, keepdim=True)
        if self.normalize:
            difference = difference / (d2.sqrt() + 1e-8)
        parts = [h[own], h[source], d2] + ([edge_attr] if edge_attr is not None else [])
        message = self.edge_mlp(torch.cat(parts, 1))
        if self.attention:
            message = message * self.att_mlp(message)
        step = self.coord_mlp(message)
        step = difference * (step.tanh() if self.tanh else step)
        moved = torch.zeros_like(pos).index_add(0, own, step)
        if self.coords_agg == "mean":
            count = torch.zeros(len(pos), 1, dtype=pos.dtype).index_add(0, own, torch.ones_like(d2))
            moved = moved / count.clamp(min=1)
        total = torch.zeros(len(h), message.shape[1], dtype=h.dtype).index_add(0, own, message)
        out = self.node_mlp(torch.cat([h, total], 1))
        return (h + out if self.residual else out), pos + moved


class PaiNNInteraction(nn.Module):
    """PaiNN's message: Schütt et al., "Equivariant message passing", ICML 2021, eq. 7 and 8; names as in SchNetPack.

        [a, b, c] = filters_ji * net(q_j)
        q'_i = q_i + sum_j a,  mu'_i = mu_i + sum_j (b u_ji + c mu_j)

    Takes `q` `[nodes, n]`, vectors `[nodes, 3 n]`, filters `[edges, 3 n]` and directions `[edges, 3]`; gives `q` and vectors.
    """

    def __init__(self, n_atom_basis):
        super().__init__()
        n = self.n_atom_basis = n_atom_basis
        self.interatomic_context_net = nn.ModuleList([nn.Linear(n, n), nn.Linear(n, 3 * n)])

    def forward(self, q, mu, edge_index, filters, directions):
        (source, own), n = edge_index, self.n_atom_basis
        net, mu = self.interatomic_context_net, mu.view(len(mu), 3, n)
        a, b, c = (net[1](nn.functional.silu(net[0](q)))[source] * filters).split(n, 1)
        moves = b[:, None] * directions[:, :, None] + c[:, None] * mu[source]
        return q.index_add(0, own, a), mu.index_add(0, own, moves).reshape(len(mu), 3 * n)


class PaiNNMixing(nn.Module):
    """PaiNN's update: the same paper, eq. 9 and 10.

        [V, W] = mix(mu),  [a, b, c] = net(q, |V|)
        q' = q + a + c (V . W),  mu' = mu + b W

    Takes `q` `[rows, n]` and vectors `[rows, 3 n]`; gives both. `|V|` is the root of `V . V + epsilon`.
    """

    def __init__(self, n_atom_basis, epsilon=1e-8):
        super().__init__()
        n, self.epsilon = n_atom_basis, epsilon
        self.n_atom_basis = n
        self.intraatomic_context_net = nn.ModuleList([nn.Linear(2 * n, n), nn.Linear(n, 3 * n)])
        self.mu_channel_mix = nn.Linear(n, 2 * n, bias=False)

    def forward(self, q, mu):
        net, n = self.intraatomic_context_net, self.n_atom_basis
        mu = mu.view(len(mu), 3, n)
        v, w = self.mu_channel_mix(mu).split(n, -1)
        length = ((v ** 2).sum(1) + self.epsilon).sqrt()
        a, b, c = net[1](nn.functional.silu(net[0](torch.cat([q, length], 1)))).split(n, 1)
        return q + a + c * (v * w).sum(1), (mu + b[:, None] * w).reshape(len(mu), 3 * n)
