"""Compiled loops of the training: densities' features, invariants, and both with directional derivatives.

Invariants come in two steps of products, given as lists of terms (out, i, j, c): out += c * u_i * u_j, channel by channel.
Step one makes `U` out of `A`: rows 0-15 are A, then p_l and the coupled tensors, then a row of ones. Step two makes `B` out of `U`.
"""

import numba
import numpy as np
import torch

FAST = {"fastmath": True, "cache": True, "nogil": True}


@numba.njit(**FAST)
def terms_forward(u, index, c, out):
    for t in range(len(c)):
        o, i, j = index[t]
        for k in range(u.shape[1]):
            out[o, k] += c[t] * u[i, k] * u[j, k]


@numba.njit(**FAST)
def terms_tangent(u, du, index, c, out):
    for t in range(len(c)):
        o, i, j = index[t]
        for k in range(u.shape[1]):
            out[o, k] += c[t] * (du[i, k] * u[j, k] + u[i, k] * du[j, k])


@numba.njit(**FAST)
def terms_backward(u, index, c, bar, out):
    """Adds to `out`, the cotangent of `u`."""
    for t in range(len(c)):
        o, i, j = index[t]
        for k in range(u.shape[1]):
            v = c[t] * bar[o, k]
            out[i, k] += v * u[j, k]
            out[j, k] += v * u[i, k]


@numba.njit(**FAST)
def terms_backward_dual(u, du, index, c, bar, dbar, out, dout):
    for t in range(len(c)):
        o, i, j = index[t]
        for k in range(u.shape[1]):
            v = c[t] * bar[o, k]
            w = c[t] * dbar[o, k]
            out[i, k] += v * u[j, k] + w * du[j, k]
            out[j, k] += v * u[i, k] + w * du[i, k]
            dout[i, k] += w * u[j, k]
            dout[j, k] += w * u[i, k]


@numba.njit(**FAST)
def fill(a, one, first, c1, u):
    for r in range(16):
        for k in range(a.shape[1]):
            u[r, k] = a[r, k]
    for r in range(16, u.shape[0]):
        for k in range(a.shape[1]):
            u[r, k] = 0.0
    for k in range(a.shape[1]):
        u[u.shape[0] - 1, k] = one
    if one > 0:
        terms_forward(u, first, c1, u)


@numba.njit(**FAST)
def forward(a, first, c1, second, c2, b):
    rows = a.shape[0]
    size = second[:, 1:].max() + 1
    u = np.zeros((size, a.shape[2]), np.float32)
    for r in range(rows):
        fill(a[r], 1.0, first, c1, u)
        b[r] = 0.0
        terms_forward(u, second, c2, b[r])


@numba.njit(**FAST)
def backward(a, first, c1, second, c2, bar, out):
    size = second[:, 1:].max() + 1
    u = np.zeros((size, a.shape[2]), np.float32)
    ubar = np.zeros((size, a.shape[2]), np.float32)
    for r in range(a.shape[0]):
        fill(a[r], 1.0, first, c1, u)
        ubar[:] = 0.0
        terms_backward(u, second, c2, bar[r], ubar)
        terms_backward(u, first, c1, ubar, ubar)
        out[r] = ubar[:16]


@numba.njit(**FAST)
def forward_dual(a, da, first, c1, second, c2, b, db):
    size = second[:, 1:].max() + 1
    u = np.zeros((size, a.shape[2]), np.float32)
    du = np.zeros((size, a.shape[2]), np.float32)
    for r in range(a.shape[0]):
        fill(a[r], 1.0, first, c1, u)
        fill(da[r], 0.0, first, c1, du)
        terms_tangent(u, du, first, c1, du)
        b[r] = 0.0
        db[r] = 0.0
        terms_forward(u, second, c2, b[r])
        terms_tangent(u, du, second, c2, db[r])


@numba.njit(**FAST)
def backward_dual(a, da, first, c1, second, c2, bar, dbar, out, dout):
    size = second[:, 1:].max() + 1
    k = a.shape[2]
    u = np.zeros((size, k), np.float32)
    du = np.zeros((size, k), np.float32)
    ubar = np.zeros((size, k), np.float32)
    dubar = np.zeros((size, k), np.float32)
    for r in range(a.shape[0]):
        fill(a[r], 1.0, first, c1, u)
        fill(da[r], 0.0, first, c1, du)
        terms_tangent(u, du, first, c1, du)
        ubar[:] = 0.0
        dubar[:] = 0.0
        terms_backward_dual(u, du, second, c2, bar[r], dbar[r], ubar, dubar)
        terms_backward_dual(u, du, first, c1, ubar, dubar, ubar, dubar)
        out[r] = ubar[:16]
        dout[r] = dubar[:16]


@numba.njit(**FAST)
def features(phi, y, index, m0, m1, x):
    """X `[N, B, m, J, P]` of frames `index` from phi `[F, N, J, P]` and Y `[F, N, J, 16]`."""
    for b in range(len(index)):
        f = index[b]
        for i in range(phi.shape[1]):
            for m in range(m0, m1):
                for j in range(phi.shape[2]):
                    v = y[f, i, j, m]
                    for p in range(phi.shape[3]):
                        x[i, b, m - m0, j, p] = v * phi[f, i, j, p]


@numba.njit(**FAST)
def pushes(phi, dphi, y, dy, unit, index, m0, m1, h, out):
    """Adds the gradient to the vectors, `out [B, N, J, 3]`, given that to X, `h [N, B, m, J, P]`."""
    for b in range(len(index)):
        f = index[b]
        for i in range(phi.shape[1]):
            for j in range(phi.shape[2]):
                along = np.float32(0.0)
                for m in range(m0, m1):
                    s = np.float32(0.0)
                    q = np.float32(0.0)
                    for p in range(phi.shape[3]):
                        s += h[i, b, m - m0, j, p] * phi[f, i, j, p]
                        q += h[i, b, m - m0, j, p] * dphi[f, i, j, p]
                    along += q * y[f, i, j, m]
                    for c in range(3):
                        out[b, i, j, c] += s * dy[f, i, j, m, c]
                for c in range(3):
                    out[b, i, j, c] += along * unit[f, i, j, c]


@numba.njit(**FAST)
def directions(phi, dphi, y, dy, unit, index, m0, m1, w, x):
    """Change of X for a change `w [B, N, J, 3]` of the vectors."""
    for b in range(len(index)):
        f = index[b]
        for i in range(phi.shape[1]):
            for j in range(phi.shape[2]):
                along = np.float32(0.0)
                for c in range(3):
                    along += w[b, i, j, c] * unit[f, i, j, c]
                for m in range(m0, m1):
                    turn = np.float32(0.0)
                    for c in range(3):
                        turn += w[b, i, j, c] * dy[f, i, j, m, c]
                    radial = along * y[f, i, j, m]
                    for p in range(phi.shape[3]):
                        x[i, b, m - m0, j, p] = turn * phi[f, i, j, p] + radial * dphi[f, i, j, p]


@numba.njit(**FAST)
def centre(phi, dphi, y, dy, unit, mix, first, c1, second, c2, b, slope, moved):
    """One atom: invariants `b [M, K]`, their slope by A `[M, 16, K]`, and that of A by the neighbours' places, `moved [J, 3, 16, K]`."""
    count, k = b.shape
    size = second[:, 1:].max() + 1
    u, du = np.zeros((size, k), np.float32), np.zeros((size, 16, k), np.float32)
    for j in range(phi.shape[0]):
        value, along = np.zeros((4, k), np.float32), np.zeros((4, k), np.float32)
        for p in range(phi.shape[1]):
            for l in range(4):
                for n in range(k):
                    value[l, n] += phi[j, p] * mix[j, p, l, n]
                    along[l, n] += dphi[j, p] * mix[j, p, l, n]
        for l in range(4):
            for m in range(l * l, (l + 1) * (l + 1)):
                for n in range(k):
                    u[m, n] += y[j, m] * value[l, n]
                for c in range(3):
                    radial, turn = unit[j, c] * y[j, m], dy[j, m, c]
                    for n in range(k):
                        moved[j, c, m, n] = radial * along[l, n] + turn * value[l, n]
    for m in range(16):
        du[m, m] = 1.0
    u[size - 1] = 1.0
    for t in range(len(c1)):
        o, i, j = first[t]
        for n in range(k):
            u[o, n] += c1[t] * u[i, n] * u[j, n]
            du[o, i, n] += c1[t] * u[j, n]
            du[o, j, n] += c1[t] * u[i, n]
    b[:] = 0.0
    slope[:] = 0.0
    for t in range(len(c2)):
        o, i, j = second[t]
        for n in range(k):
            b[o, n] += c2[t] * u[i, n] * u[j, n]
        for m in range(16):
            for n in range(k):
                slope[o, m, n] += c2[t] * (u[j, n] * du[i, m, n] + u[i, n] * du[j, m, n])


@numba.njit(**FAST)
def rows(phi, dphi, y, dy, unit, index, mix, types, other, first, c1, second, c2, energies, forces):
    """Adds the invariants `[B, T, M, K]` summed by type and, to `forces [B, N * 3, T, M, K]`, the negative gradients of those sums."""
    count, k = energies.shape[2:]
    b, slope = np.zeros((count, k), np.float32), np.zeros((count, 16, k), np.float32)
    moved, s = np.zeros((phi.shape[2], 3, 16, k), np.float32), np.zeros(k, np.float32)
    for at in range(len(index)):
        f = index[at]
        for i in range(phi.shape[1]):
            t = types[i]
            centre(phi[f, i], dphi[f, i], y[f, i], dy[f, i], unit[f, i], mix[i], first, c1, second, c2, b, slope, moved)
            energies[at, t] += b
            for j in range(phi.shape[2]):
                for c in range(3):
                    own, its = forces[at, 3 * i + c, t], forces[at, 3 * other[i, j] + c, t]
                    for o in range(count):
                        s[:] = 0.0
                        for m in range(16):
                            for n in range(k):
                                s[n] += slope[o, m, n] * moved[j, c, m, n]
                        for n in range(k):
                            own[o, n] += s[n]
                            its[o, n] -= s[n]


@numba.njit(**FAST)
def moments(phi, dphi, y, dy, unit, index, mix, types, first, c1, second, c2, weight, out):
    """Adds, by type and l, products of the slopes of an atom's energy by two channels of A, `[T, 4, K, K]`; weight `[T, M, K]`."""
    count, k = weight.shape[1:]
    b, slope = np.zeros((count, k), np.float32), np.zeros((count, 16, k), np.float32)
    moved = np.zeros((phi.shape[2], 3, 16, k), np.float32)
    for f in index:
        for i in range(phi.shape[1]):
            t = types[i]
            centre(phi[f, i], dphi[f, i], y[f, i], dy[f, i], unit[f, i], mix[i], first, c1, second, c2, b, slope, moved)
            for l in range(4):
                for m in range(l * l, (l + 1) * (l + 1)):
                    g = np.zeros(k, np.float32)
                    for o in range(count):
                        for n in range(k):
                            g[n] += weight[t, o, n] * slope[o, m, n]
                    for p in range(k):
                        for q in range(k):
                            out[t, l, p, q] += g[p] * g[q]


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, terms):
        ctx.save_for_backward(a)
        ctx.terms = terms
        b = np.empty((a.shape[0], terms.count, a.shape[2]), np.float32)
        forward(a.detach().numpy(), *terms.lists, b)
        return torch.from_numpy(b)

    @staticmethod
    def backward(ctx, bar):
        a, = ctx.saved_tensors
        out = np.empty(a.shape, np.float32)
        backward(a.detach().numpy(), *ctx.terms.lists, bar.contiguous().numpy(), out)
        return torch.from_numpy(out), None


class Dual(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, da, terms):
        ctx.save_for_backward(a, da)
        ctx.terms = terms
        b, db = (np.empty((a.shape[0], terms.count, a.shape[2]), np.float32) for _ in range(2))
        forward_dual(a.detach().numpy(), da.detach().numpy(), *terms.lists, b, db)
        return torch.from_numpy(b), torch.from_numpy(db)

    @staticmethod
    def backward(ctx, bar, dbar):
        a, da = ctx.saved_tensors
        out, dout = np.empty(a.shape, np.float32), np.empty(a.shape, np.float32)
        backward_dual(a.detach().numpy(), da.detach().numpy(), *ctx.terms.lists, bar.contiguous().numpy(), dbar.contiguous().numpy(), out, dout)
        return torch.from_numpy(out), torch.from_numpy(dout), None
