"""Triton kernels, forward and backward, for the entries of ops.fast that move the most memory outside attention."""
import torch
import triton
import triton.language as tl

EPS = tl.constexpr(1e-6)


# ---- rms norm over the last dim, and rope ---------------------------------------------------------------------------
@triton.jit
def _rms_fwd(X, W, Y, N, D: tl.constexpr, HAS_W: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    at = rows[:, None] * D + cols[None, :]
    keep = (rows < N)[:, None]
    x = tl.load(X + at, mask=keep, other=0.0).to(tl.float32)
    y = x * (1.0 / tl.sqrt(tl.sum(x * x, 1) / D + EPS))[:, None]
    if HAS_W:
        y = y * tl.load(W + cols)[None, :]
    tl.store(Y + at, y.to(Y.dtype.element_ty), mask=keep)


@triton.jit
def _rms_bwd(X, W, G, DX, DW, N, D: tl.constexpr, HAS_W: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    at = rows[:, None] * D + cols[None, :]
    keep = (rows < N)[:, None]
    x = tl.load(X + at, mask=keep, other=0.0).to(tl.float32)
    g = tl.load(G + at, mask=keep, other=0.0).to(tl.float32)
    r = (1.0 / tl.sqrt(tl.sum(x * x, 1) / D + EPS))[:, None]
    h = x * r
    if HAS_W:
        tl.store(DW + tl.program_id(0) * D + cols, tl.sum(g * h, 0))
        g = g * tl.load(W + cols)[None, :]
    dx = r * (g - h * (tl.sum(g * h, 1) / D)[:, None])
    tl.store(DX + at, dx.to(DX.dtype.element_ty), mask=keep)


class _Rms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        x = x.contiguous()
        d = x.shape[-1]
        n, y = x.numel() // d, torch.empty_like(x)
        b = 16
        _rms_fwd[(triton.cdiv(n, b),)](x, x if weight is None else weight, y, n, d, weight is not None, b)
        ctx.save_for_backward(x, weight)
        return y

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        d = x.shape[-1]
        n, b, g, dx = x.numel() // d, 16, g.contiguous(), torch.empty_like(x)
        parts = triton.cdiv(n, b)
        has = weight is not None
        dw = torch.empty(parts, d, device=x.device, dtype=torch.float32) if has else x
        _rms_bwd[(parts,)](x, weight if has else x, g, dx, dw, n, d, has, b)
        return dx, (dw.sum(0) if has else None)


def rms(x, weight=None):
    return _Rms.apply(x, weight)


@triton.jit
def _rope_kernel(X, C, S, Y, N, HEADS, SEQ, SHARED: tl.constexpr, SIGN: tl.constexpr, D: tl.constexpr, P: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    keep = (rows < N)[:, None]
    token = rows // HEADS
    if SHARED:
        token = token % SEQ
    half = tl.arange(0, D // 2)
    turn = half - (D // 2 - P)
    at = rows[:, None] * D + 2 * half[None, :]
    a = tl.load(X + at, mask=keep, other=0.0).to(tl.float32)
    b = tl.load(X + at + 1, mask=keep, other=0.0).to(tl.float32)
    table = token[:, None] * P + turn[None, :]
    turned = keep & (turn >= 0)[None, :]
    c = tl.load(C + table, mask=turned, other=1.0)
    s = tl.load(S + table, mask=turned, other=0.0) * SIGN
    tl.store(Y + at, (a * c - b * s).to(Y.dtype.element_ty), mask=keep)
    tl.store(Y + at + 1, (a * s + b * c).to(Y.dtype.element_ty), mask=keep)


def _rope_launch(x, cos, sin, sign):
    x = x.contiguous()
    b, s, heads, d = x.shape
    y, n, block = torch.empty_like(x), b * s * heads, 16
    _rope_kernel[(triton.cdiv(n, block),)](x, cos, sin, y, n, heads, s, cos.shape[0] == 1, sign, d, cos.shape[-1], block)
    return y


class _Rope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        return _rope_launch(x, cos, sin, 1)

    @staticmethod
    def backward(ctx, g):
        return _rope_launch(g, *ctx.saved_tensors, -1), None, None


def rope(x, cos, sin):
    return _Rope.apply(x, cos.contiguous(), sin.contiguous())


# ---- hyper-connections: collapse of the four streams, and their update ----------------------------------------------
@triton.jit
def _collapse_fwd(X, PRE, W, Y, N, D: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    keep = (rows < N)[:, None]
    c = tl.zeros([B, D], tl.float32)
    for j in tl.static_range(4):
        x = tl.load(X + (rows[:, None] * 4 + j) * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
        c += tl.load(PRE + rows * 4 + j, mask=rows < N, other=0.0)[:, None] * x
    c = c.to(X.dtype.element_ty).to(tl.float32)
    y = c * (1.0 / tl.sqrt(tl.sum(c * c, 1) / D + EPS))[:, None] * tl.load(W + cols)[None, :]
    tl.store(Y + rows[:, None] * D + cols[None, :], y.to(Y.dtype.element_ty), mask=keep)


@triton.jit
def _collapse_bwd(X, PRE, W, G, DX, DPRE, DW, N, D: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    keep = (rows < N)[:, None]
    c = tl.zeros([B, D], tl.float32)
    for j in tl.static_range(4):
        x = tl.load(X + (rows[:, None] * 4 + j) * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
        c += tl.load(PRE + rows * 4 + j, mask=rows < N, other=0.0)[:, None] * x
    g = tl.load(G + rows[:, None] * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
    r = (1.0 / tl.sqrt(tl.sum(c * c, 1) / D + EPS))[:, None]
    h = c * r
    tl.store(DW + tl.program_id(0) * D + cols, tl.sum(g * h, 0))
    g = g * tl.load(W + cols)[None, :]
    dc = r * (g - h * (tl.sum(g * h, 1) / D)[:, None])
    for j in tl.static_range(4):
        at = (rows[:, None] * 4 + j) * D + cols[None, :]
        x = tl.load(X + at, mask=keep, other=0.0).to(tl.float32)
        p = tl.load(PRE + rows * 4 + j, mask=rows < N, other=0.0)
        tl.store(DX + at, (p[:, None] * dc).to(DX.dtype.element_ty), mask=keep)
        tl.store(DPRE + rows * 4 + j, tl.sum(x * dc, 1), mask=rows < N)


class _Collapse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, pre, weight):
        x, pre = x.contiguous(), pre.contiguous()
        n, _, d = x.shape
        y = torch.empty(n, d, device=x.device, dtype=x.dtype)
        _collapse_fwd[(triton.cdiv(n, 8),)](x, pre, weight, y, n, d, 8)
        ctx.save_for_backward(x, pre, weight)
        return y

    @staticmethod
    def backward(ctx, g):
        x, pre, weight = ctx.saved_tensors
        n, _, d = x.shape
        parts = triton.cdiv(n, 8)
        dx, dpre = torch.empty_like(x), torch.empty_like(pre)
        dw = torch.empty(parts, d, device=x.device, dtype=torch.float32)
        _collapse_bwd[(parts,)](x, pre, weight, g.contiguous(), dx, dpre, dw, n, d, 8)
        return dx, dpre, dw.sum(0)


def hc_collapse(x, pre, weight):
    return _Collapse.apply(x, pre, weight)


@triton.jit
def _expand_fwd(X, Y, POST, COMB, O, N, D: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    ok = rows < N
    keep = ok[:, None]
    y = tl.load(Y + rows[:, None] * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
    for k in tl.static_range(4):
        o = tl.load(POST + rows * 4 + k, mask=ok, other=0.0)[:, None] * y
        for j in tl.static_range(4):
            x = tl.load(X + (rows[:, None] * 4 + j) * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
            o += tl.load(COMB + rows * 16 + j * 4 + k, mask=ok, other=0.0)[:, None] * x
        tl.store(O + (rows[:, None] * 4 + k) * D + cols[None, :], o.to(O.dtype.element_ty), mask=keep)


@triton.jit
def _expand_bwd(X, Y, POST, COMB, G, DX, DY, DPOST, DCOMB, N, D: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    cols = tl.arange(0, D)
    ok = rows < N
    keep = ok[:, None]
    y = tl.load(Y + rows[:, None] * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
    dy = tl.zeros([B, D], tl.float32)
    for k in tl.static_range(4):
        g = tl.load(G + (rows[:, None] * 4 + k) * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
        dy += tl.load(POST + rows * 4 + k, mask=ok, other=0.0)[:, None] * g
        tl.store(DPOST + rows * 4 + k, tl.sum(g * y, 1), mask=ok)
    tl.store(DY + rows[:, None] * D + cols[None, :], dy.to(DY.dtype.element_ty), mask=keep)
    for j in tl.static_range(4):
        at = (rows[:, None] * 4 + j) * D + cols[None, :]
        x = tl.load(X + at, mask=keep, other=0.0).to(tl.float32)
        dx = tl.zeros([B, D], tl.float32)
        for k in tl.static_range(4):
            g = tl.load(G + (rows[:, None] * 4 + k) * D + cols[None, :], mask=keep, other=0.0).to(tl.float32)
            dx += tl.load(COMB + rows * 16 + j * 4 + k, mask=ok, other=0.0)[:, None] * g
            tl.store(DCOMB + rows * 16 + j * 4 + k, tl.sum(g * x, 1), mask=ok)
        tl.store(DX + at, dx.to(DX.dtype.element_ty), mask=keep)


class _Expand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, post, comb):
        x, y, post, comb = x.contiguous(), y.contiguous(), post.contiguous(), comb.contiguous()
        n, _, d = x.shape
        out = torch.empty_like(x)
        _expand_fwd[(triton.cdiv(n, 8),)](x, y, post, comb, out, n, d, 8)
        ctx.save_for_backward(x, y, post, comb)
        return out

    @staticmethod
    def backward(ctx, g):
        x, y, post, comb = ctx.saved_tensors
        n, _, d = x.shape
        grads = [torch.empty_like(t) for t in (x, y, post, comb)]
        _expand_bwd[(triton.cdiv(n, 8),)](x, y, post, comb, g.contiguous(), *grads, n, d, 8)
        return tuple(grads)


def hc_expand(x, y, post, comb):
    return _Expand.apply(x, y, post, comb)


# ---- hyper-connections: projection of the streams with their rms ----------------------------------------------------
class _Mix(torch.autograd.Function):
    """m = (x fn^T) * r with r = rsqrt(mean(x^2) + eps). fn goes in as high and low bf16 halves, so the product keeps
    about 16 bits while x is read once, as bf16."""

    @staticmethod
    def forward(ctx, x, fn):
        n = x.shape[0]
        v = x.reshape(n, -1)
        high = fn.to(x.dtype)
        low = (fn - high.float()).to(x.dtype)
        both = torch.mm(v, torch.cat([high, low]).t(), out_dtype=torch.float32)
        norm = torch.linalg.vector_norm(v, dim=1, keepdim=True, dtype=torch.float32)
        r = torch.rsqrt(norm.square() / v.shape[1] + 1e-6)
        m = (both[:, : fn.shape[0]] + both[:, fn.shape[0] :]) * r
        ctx.save_for_backward(x, high, m, r)
        return m

    @staticmethod
    def backward(ctx, g):
        x, high, m, r = ctx.saved_tensors
        n = x.shape[0]
        v = x.reshape(n, -1)
        dp = (g * r).to(x.dtype)
        coefficient = -((g * m).sum(1, keepdim=True) * r.square() / v.shape[1])
        dx = torch.addcmul(torch.mm(dp, high), v, coefficient.to(x.dtype))
        dfn = torch.mm(dp.t(), v, out_dtype=torch.float32)
        return dx.view_as(x), dfn


def hc_mix(x, fn):
    return _Mix.apply(x.contiguous(), fn)


# ---- Sinkhorn -------------------------------------------------------------------------------------------------------
@triton.jit
def _sk_first(x):
    e = tl.exp(x - tl.max(x, 2)[:, :, None])
    s = e / tl.sum(e, 2)[:, :, None]
    c = s + EPS
    return s, c, c / (tl.sum(c, 1)[:, None, :] + EPS)


@triton.jit
def _sk_round(c):
    c = c / (tl.sum(c, 2)[:, :, None] + EPS)
    return c / (tl.sum(c, 1)[:, None, :] + EPS)


@triton.jit
def _sk_fwd(X, Y, N, ROUNDS, B: tl.constexpr):
    n = tl.program_id(0) * B + tl.arange(0, B)
    at = n[:, None, None] * 16 + tl.arange(0, 4)[None, :, None] * 4 + tl.arange(0, 4)[None, None, :]
    keep = (n < N)[:, None, None]
    s, c0, c = _sk_first(tl.load(X + at, mask=keep, other=0.0))
    for _ in range(ROUNDS):
        c = _sk_round(c)
    tl.store(Y + at, c, mask=keep)


@triton.jit
def _sk_bwd(X, G, DX, N, ROUNDS, B: tl.constexpr):
    n = tl.program_id(0) * B + tl.arange(0, B)
    at = n[:, None, None] * 16 + tl.arange(0, 4)[None, :, None] * 4 + tl.arange(0, 4)[None, None, :]
    keep = (n < N)[:, None, None]
    s, c0, first = _sk_first(tl.load(X + at, mask=keep, other=0.0))
    g = tl.load(G + at, mask=keep, other=0.0)
    for back in range(ROUNDS):
        c = first
        for _ in range(ROUNDS - 1 - back):  # recomputed: 190 rounds of 16 numbers cost less than storing them
            c = _sk_round(c)
        rows = tl.sum(c, 2)[:, :, None] + EPS
        a = c / rows
        columns = tl.sum(a, 1)[:, None, :] + EPS
        y = a / columns
        g = (g - tl.sum(g * y, 1)[:, None, :]) / columns
        g = (g - tl.sum(g * a, 2)[:, :, None]) / rows
    g = (g - tl.sum(g * first, 1)[:, None, :]) / (tl.sum(c0, 1)[:, None, :] + EPS)
    tl.store(DX + at, s * (g - tl.sum(g * s, 2)[:, :, None]), mask=keep)


class _Sinkhorn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, iterations):
        x = x.contiguous()
        y, n = torch.empty_like(x), x.numel() // 16
        _sk_fwd[(triton.cdiv(n, 64),)](x, y, n, iterations - 1, 64, num_warps=2)
        ctx.save_for_backward(x)
        ctx.rounds = iterations - 1
        return y

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        dx, n = torch.empty_like(x), x.numel() // 16
        _sk_bwd[(triton.cdiv(n, 64),)](x, g.contiguous(), dx, n, ctx.rounds, 64, num_warps=2)
        return dx, None


def sinkhorn(logits, iterations):
    return _Sinkhorn.apply(logits, iterations)
