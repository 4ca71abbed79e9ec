"""The potential of one molecule: see README.md for the equations. Shapes: N atoms, B frames, J = N - 1 neighbours, P radial
functions a pair class, K channels, T atom types, C pair classes, M invariants a channel.
"""

import numpy as np
import torch
from torch import nn

import kernels
from basis import LMAX, OF_L, gaunt, harmonics, radial

# Energies of atoms are counted in this unit, eV.
UNIT = 0.02
# Pairs (l1, l2) coupled to each L; products of those with a harmonic of A (order 3), or with each other (order 4).
COUPLED = [(1, 1, 2), (1, 2, 3), (2, 1, 1), (2, 2, 2), (2, 1, 3), (2, 3, 3)]
ORDER3 = [((1, 1, 2), 1), ((1, 2, 3), 1), ((2, 2, 2), 2), ((2, 3, 3), 2)]
ORDER4 = [(a, b) for n, a in enumerate(COUPLED) for b in COUPLED[n:] if a[0] == b[0] and (a, b) not in [((2, 1, 1),) * 2, ((2, 2, 2),) * 2]]


class Terms:
    """The two lists of products, `lists` with coefficients in f32, `exact` in f64; `count` invariants a channel."""

    def __init__(self):
        g = gaunt()
        first = [[16, 0, 0, 1.0]]
        for l in (1, 2, 3):
            first += [[16 + l, m, m, (2 * l + 1) ** -0.5] for m in range(OF_L[l].start, OF_L[l].stop)]
        row, at = 20, {}
        for L, a, b in COUPLED:
            at[L, a, b] = row
            for M in range(OF_L[L].start, OF_L[L].stop):
                for m in range(OF_L[a].start, OF_L[a].stop):
                    for n in range(m if a == b else OF_L[b].start, OF_L[b].stop):
                        if g[m, n, M] != 0:
                            first.append([row, m, n, g[m, n, M] * (1.0 if a == b and m == n else 2.0)])
                row += 1
        one = row
        second = [[0, 0, one, 1.0]] + [[1 + l, 16 + l, one, 1.0] for l in range(4)] + [[5 + l, 0, 16 + l, 1.0] for l in range(4)]
        count = 9
        for (key, l) in ORDER3:
            second += [[count, at[key] + m, l * l + m, 1.0] for m in range(2 * l + 1)]
            count += 1
        for m in (1, 2, 3):
            for n in range(m, 4):
                second.append([count, 16 + m, 16 + n, 1.0])
                count += 1
        for p, q in ORDER4:
            second += [[count, at[p] + m, at[q] + m, 1.0] for m in range(2 * p[0] + 1)]
            count += 1
        split = lambda rows: (np.array([r[:3] for r in rows], np.int64), np.array([r[3] for r in rows]))
        self.exact = (*split(first), *split(second))
        self.lists = tuple(v.astype(np.float32) if v.ndim == 1 else v for v in self.exact)
        self.count = count


class Potential(nn.Module):
    def __init__(self, topology, settings):
        super().__init__()
        self.topology, self.settings, self.terms = topology, settings, Terms()
        n = len(topology.types)
        self.register_buffer("types", torch.from_numpy(topology.types))
        other = np.array([[j for j in range(n) if j != i] for i in range(n)])
        self.register_buffer("other", torch.from_numpy(other))
        self.register_buffer("pair", torch.from_numpy(np.take_along_axis(topology.classes, other, 1)))
        k, p, h = settings["channels"], settings["radial_kept"], settings["hidden"]
        t, c, width = len(topology.names), len(topology.keys), self.terms.count * k
        self.mix = nn.Parameter(torch.randn(c, p, LMAX + 1, k) / n**0.5)
        self.register_buffer("whiten", torch.zeros(c, settings["radial"], p, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(t, width))
        self.register_buffer("scale", torch.ones(t, width))
        self.linear = nn.Parameter(torch.zeros(t, width, 1))
        self.hidden = nn.Parameter(torch.randn(t, width, h))
        self.bias = nn.Parameter(torch.randn(t, 1, h))
        self.out = nn.Parameter(0.1 * torch.randn(t, h, 1))
        self.register_buffer("shift", torch.zeros((), dtype=torch.float64))

    def vectors(self, coords):
        """`[F, N, J, 3]`."""
        return coords[:, self.other] - coords[:, :, None]

    def fit_whitening(self, coords):
        """Makes each class's radial functions uncorrelated and of unit size over the frames."""
        phi = radial(self.vectors(coords).norm(dim=-1), self.settings["radial"], self.settings["cutoff"])
        smooth = torch.arange(1, phi.shape[-1] + 1).double() ** -self.settings["smooth"]
        phi = phi * smooth
        for c in range(len(self.topology.keys)):
            i, j = torch.nonzero(self.pair == c, as_tuple=True)
            seen = phi[:, i, j].reshape(-1, phi.shape[-1])
            value, vector = torch.linalg.eigh(seen.T @ seen / len(seen))
            p = self.settings["radial_kept"]
            value, vector = value.flip(0)[:p].clamp(min=0), vector.flip(1)[:, :p]
            self.whiten[c] = smooth[:, None] * vector / (value + self.settings["damping"]).sqrt()

    def geometry(self, coords):
        """phi, dphi `[F, N, J, P]`, Y `[F, N, J, 16]`, dY `[F, N, J, 16, 3]`, unit vectors; numpy f32."""
        d = self.vectors(coords)
        r = d.norm(dim=-1).requires_grad_(True)
        raw = radial(r, self.settings["radial"], self.settings["cutoff"])
        slope = torch.stack([torch.autograd.grad(raw[..., n].sum(), r, retain_graph=True)[0] for n in range(raw.shape[-1])], -1)
        whiten = self.whiten[self.pair]
        phi, dphi = (torch.einsum("fnjr,njrp->fnjp", v.detach(), whiten) for v in (raw, slope))
        d.requires_grad_(True)
        y = harmonics(d)
        dy = torch.stack([torch.autograd.grad((y[..., m] + 0 * d[..., 0]).sum(), d, retain_graph=True)[0] for m in range(16)], -2)
        unit = d / r[..., None]
        return [v.detach().numpy().astype(np.float32) for v in (phi, dphi, y, dy, unit)]

    def density(self, x, mix):
        parts = []
        for l, of_l in enumerate(x):
            n, b, m = of_l.shape[:3]
            parts.append((of_l.view(n, b * m, -1) @ mix[l]).view(n, b, m, -1))
        return torch.cat(parts, 2).flatten(0, 1)

    def readout(self):
        size = self.linear.shape[1] ** -0.5
        weight = torch.cat([self.linear * size, self.hidden * size], -1) * self.scale[..., None]
        return weight[self.types], (self.mean[:, None] @ weight)[self.types]

    def mixes(self):
        mix = self.mix[self.pair]
        return [mix[:, :, :, l].flatten(1, 2) for l in range(LMAX + 1)]

    def run(self, geometry, index, targets=None, weights=None):
        """Energies `[B]` less the shift and forces `[B, N, 3]`. With targets, also fills the gradients of the loss."""
        phi, dphi, y, dy, unit = geometry
        n, count, (_, _, j, p) = len(self.types), len(index), phi.shape
        mix = self.mixes()
        x = []
        for at in OF_L:
            x.append(np.empty((n, count, at.stop - at.start, j, p), np.float32))
            kernels.features(phi, y, index, at.start, at.stop, x[-1])
        x = [torch.from_numpy(v) for v in x]
        weight, offset = self.readout()
        out, bias = self.out[self.types] * UNIT, self.bias[self.types]
        with torch.no_grad():
            a = self.density(x, mix)
            b = kernels.Plain.apply(a, self.terms).view(n, count, -1)
            u = b @ weight - offset
            hidden = u[..., 1:] + bias
            gate = torch.sigmoid(hidden)
            energy = (UNIT * u[..., 0] + (hidden * gate @ out)[..., 0]).sum(0)
            slope = gate * (1 + hidden * (1 - gate)) * out.transpose(1, 2)
            bar = torch.cat([torch.full_like(u[..., :1], UNIT), slope], -1) @ weight.transpose(1, 2)
            g = np.empty(a.shape, np.float32)
            kernels.backward(a.numpy(), *self.terms.lists, bar.view(n * count, self.terms.count, -1).numpy(), g)
            g = torch.from_numpy(g).view(n, count, 16, -1)
            push = np.zeros((count, n, j, 3), np.float32)
            for l, at in enumerate(OF_L):
                h = (g[:, :, at].reshape(n, -1, g.shape[-1]) @ mix[l].transpose(1, 2)).view(x[l].shape)
                kernels.pushes(phi, dphi, y, dy, unit, index, at.start, at.stop, h.numpy(), push)
            push = torch.from_numpy(push)
            forces = push.sum(2).index_add(1, self.other.flatten(), -push.flatten(1, 2))
        if targets is None:
            return energy, forces
        energy_error, force_error = energy - targets[0], forces - targets[1]
        c = 2 * weights[0] * energy_error / count
        v = 2 * weights[1] * force_error / force_error.numel()
        w = (v[:, :, None] - v[:, self.other]).numpy()
        dx = []
        for at, of_l in zip(OF_L, x):
            dx.append(np.empty(of_l.shape, np.float32))
            kernels.directions(phi, dphi, y, dy, unit, index, at.start, at.stop, w, dx[-1])
        da = self.density([torch.from_numpy(value) for value in dx], mix)
        b, db = kernels.Dual.apply(self.density(x, mix), da, self.terms)
        u, du = b.view(n, count, -1) @ weight - offset, db.view(n, count, -1) @ weight
        hidden = u[..., 1:] + bias
        gate = torch.sigmoid(hidden)
        value = UNIT * u[..., 0] + (hidden * gate @ out)[..., 0]
        change = UNIT * du[..., 0] + (gate * (1 + hidden * (1 - gate)) * du[..., 1:] @ out)[..., 0]
        ((value * c).sum() + change.sum()).backward()
        return energy_error, force_error

    def falls(self, coords):
        """Weights that fall with the mean distance of a class, as exp(-decay (r - 1 angstrom)), `[C]`."""
        r = self.vectors(coords).norm(dim=-1).mean(0)
        means = torch.stack([r[self.pair == c].mean() for c in range(len(self.topology.keys))])
        return torch.exp(-self.settings["decay"] * (means - 1))

    def fit_decay(self, coords):
        with torch.no_grad():
            self.mix *= self.falls(coords).float()[:, None, None, None]

    def align(self, pilot, moments, coords):
        """Draws the mixing along the directions that a pilot's energies change with.

        By type and l these are the leading eigenvectors of the products of the energy's slopes, with `align_floor` of the first
        guess's covariance in it. They count by their eigenvalue's power `align_power`, and the channels are a random rotation of them.
        """
        floor, n, (_, p, _, k) = self.settings["align_floor"], len(self.types), self.mix.shape
        fall, centres = self.falls(coords), torch.tensor([key[0] for key in self.topology.keys])
        with torch.no_grad():
            for t in range(len(self.topology.names)):
                at = torch.nonzero(centres == t)[:, 0]
                guess = (fall[at] ** 2).repeat_interleave(p)
                for l in range(LMAX + 1):
                    mix = pilot.mix[at, :, l].flatten(0, 1).double()
                    found = mix @ moments[t, l] @ mix.T
                    value, vector = torch.linalg.eigh((1 - floor) * found / found.trace() + floor * torch.diag(guess / guess.sum()))
                    size = min(k, len(value))
                    u, _, v = torch.linalg.svd(self.mix[at, :, l].flatten(0, 1)[:size].double(), full_matrices=False)
                    drawn = vector[:, -size:] * value[-size:].clamp(min=0) ** self.settings["align_power"] @ (u @ v)
                    self.mix[at, :, l] = (drawn / drawn.norm() * (guess.sum() * k / n).sqrt()).float().view(len(at), p, k)

    def fit_scale(self, geometry, index):
        with torch.no_grad():
            phi, _, y, _, _ = geometry
            x = []
            for at in OF_L:
                x.append(np.empty((len(self.types), len(index), at.stop - at.start, *phi.shape[2:]), np.float32))
                kernels.features(phi, y, index, at.start, at.stop, x[-1])
            b = kernels.Plain.apply(self.density([torch.from_numpy(v) for v in x], self.mixes()), self.terms)
            b = b.view(len(self.types), len(index), -1)
            for t in range(len(self.topology.names)):
                seen = b[self.types == t].flatten(0, 1)
                self.mean[t] = seen.mean(0)
                self.scale[t] = 1 / (seen.std(0) + 1e-3)
