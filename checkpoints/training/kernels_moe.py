"""Triton kernels for the expert activation and the attention softmax: the two largest tensors of a training step."""
import torch
import triton
import triton.language as tl


# ---- clamped SwiGLU times route weight; unrouted experts are skipped, not computed ----------------------------------
@triton.jit
def _act_fwd(G, U, W, A, N, LIMIT, E: tl.constexpr, I: tl.constexpr, SIM: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    e = tl.program_id(1)
    w = tl.load(W + rows * E + e, mask=rows < N, other=0.0)
    at = (rows[:, None].to(tl.int64) * E + e) * I + tl.arange(0, I)[None, :]
    used = (w != 0.0)[:, None]
    g = tl.minimum(tl.load(G + at, mask=used, other=0.0).to(tl.float32), LIMIT)
    u = tl.load(U + at, mask=used, other=0.0).to(tl.float32)
    u = tl.minimum(tl.maximum(u, -LIMIT), LIMIT)
    a = w[:, None] * (g * tl.sigmoid(g) * u)
    if SIM:
        a = a.to(A.dtype.element_ty).to(tl.float32)
        t = tl.maximum(tl.max(tl.abs(a), 1), 1e-4) / 448.0
        bits = t.to(tl.int32, bitcast=True)
        power = (bits >> 23) + tl.where((bits & 0x7FFFFF) != 0, 1, 0)
        s = (power << 23).to(tl.float32, bitcast=True)[:, None]
        a = (a / s).to(tl.float8e4nv).to(tl.float32) * s
    tl.store(A + at, a.to(A.dtype.element_ty), mask=(rows < N)[:, None])


@triton.jit
def _act_bwd(G, U, W, DA, DG, DU, DW, N, LIMIT, E: tl.constexpr, I: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    e = tl.program_id(1)
    w = tl.load(W + rows * E + e, mask=rows < N, other=0.0)
    at = (rows[:, None].to(tl.int64) * E + e) * I + tl.arange(0, I)[None, :]
    used = (w != 0.0)[:, None]
    g0 = tl.load(G + at, mask=used, other=0.0).to(tl.float32)
    u0 = tl.load(U + at, mask=used, other=0.0).to(tl.float32)
    d = tl.load(DA + at, mask=used, other=0.0).to(tl.float32)
    g = tl.minimum(g0, LIMIT)
    u = tl.minimum(tl.maximum(u0, -LIMIT), LIMIT)
    s = tl.sigmoid(g)
    tl.store(DW + rows * E + e, tl.sum(g * s * u * d, 1), mask=rows < N)
    d = d * w[:, None]
    dg = tl.where(g0 <= LIMIT, d * u * (s + g * s * (1.0 - s)), 0.0)
    du = tl.where((u0 <= LIMIT) & (u0 >= -LIMIT), d * g * s, 0.0)
    keep = (rows < N)[:, None]
    tl.store(DG + at, dg.to(DG.dtype.element_ty), mask=keep)
    tl.store(DU + at, du.to(DU.dtype.element_ty), mask=keep)


class _Act(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate, up, weight, limit, simulate):
        n, e, i = gate.shape
        gate, up, weight = gate.contiguous(), up.contiguous(), weight.contiguous()
        out = torch.empty_like(gate)
        _act_fwd[(triton.cdiv(n, 32), e)](gate, up, weight, out, n, limit, e, i, simulate, 32)
        ctx.save_for_backward(gate, up, weight)
        ctx.limit = limit
        return out

    @staticmethod
    def backward(ctx, d):
        gate, up, weight = ctx.saved_tensors
        n, e, i = gate.shape
        dg, du, dw = torch.empty_like(gate), torch.empty_like(up), torch.empty_like(weight)
        _act_bwd[(triton.cdiv(n, 32), e)](gate, up, weight, d.contiguous(), dg, du, dw, n, ctx.limit, e, i, 32)
        return dg, du, dw, None, None


def expert_act(gate, up, weight, limit, simulate):
    """The route weight's gradient is only right where the weight is not zero, which is all that routing needs."""
    return _Act.apply(gate, up, weight, limit, simulate)


# ---- softmax over window and compressed scores with a sink ----------------------------------------------------------
@triton.jit
def _soft_fwd(L, R, V, SINK, PL, PR, PS, SCALE, CHUNKS, HEADS, T, V_ROWS, C: tl.constexpr, BT: tl.constexpr, HAS_R: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)  # ((b * n + chunk) * H + h) * C + i
    i = row % C
    h = (row // C) % HEADS
    chunk = (row // (C * HEADS)) % CHUNKS
    j = tl.arange(0, 2 * C)
    seen = (j > i) & (j <= i + C) & ((chunk > 0) | (j >= C))
    a = tl.load(L + row * 2 * C + j).to(tl.float32) * SCALE
    a = tl.where(seen, a, -1e30)
    sink = tl.load(SINK + h)
    top = tl.maximum(tl.max(a, 0), sink)
    if HAS_R:
        t = tl.arange(0, BT)
        token = ((row // (C * HEADS * CHUNKS)) * CHUNKS + chunk) * C + i
        vis = tl.load(V + (token % V_ROWS) * T + t, mask=t < T, other=0) != 0
        b = tl.load(R + row * T + t, mask=vis, other=0.0).to(tl.float32) * SCALE
        b = tl.where(vis, b, -1e30)
        top = tl.maximum(top, tl.max(b, 0))
        pb = tl.where(vis, tl.exp(b - top), 0.0)
    pa = tl.where(seen, tl.exp(a - top), 0.0)
    ps = tl.exp(sink - top)
    z = tl.sum(pa, 0) + ps
    if HAS_R:
        z += tl.sum(pb, 0)
        tl.store(PR + row * T + t, (pb / z).to(PR.dtype.element_ty), mask=t < T)
    tl.store(PL + row * 2 * C + j, (pa / z).to(PL.dtype.element_ty))
    tl.store(PS + row, ps / z)


@triton.jit
def _soft_bwd(PL, PR, PS, GL, GR, DL, DR, DS, SCALE, T, C: tl.constexpr, BT: tl.constexpr, HAS_R: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, 2 * C)
    pa = tl.load(PL + row * 2 * C + j).to(tl.float32)
    ga = tl.load(GL + row * 2 * C + j).to(tl.float32)
    dot = tl.sum(pa * ga, 0)
    if HAS_R:
        t = tl.arange(0, BT)
        pb = tl.load(PR + row * T + t, mask=t < T, other=0.0).to(tl.float32)
        gb = tl.load(GR + row * T + t, mask=t < T, other=0.0).to(tl.float32)
        dot += tl.sum(pb * gb, 0)
        tl.store(DR + row * T + t, (pb * (gb - dot) * SCALE).to(DR.dtype.element_ty), mask=t < T)
    tl.store(DL + row * 2 * C + j, (pa * (ga - dot) * SCALE).to(DL.dtype.element_ty))
    tl.store(DS + row, -tl.load(PS + row) * dot)


class _SinkSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, local, far, sink, visible, scale):
        b, n, h, c, _ = local.shape
        has = far is not None
        t = far.shape[-1] if has else 1
        rows = b * n * h * c
        local = local.contiguous()
        far = far.contiguous() if has else local
        vis = visible.contiguous().view(torch.uint8) if has else local
        pl, pr = torch.empty_like(local), torch.empty_like(far) if has else local
        ps = torch.empty(b, n, h, c, device=local.device, dtype=torch.float32)
        bt = max(16, triton.next_power_of_2(t))
        v_rows = visible.numel() // t if has else 1
        warps = 8 if bt >= 4096 else 4 if bt >= 512 else 2
        _soft_fwd[(rows,)](local, far, vis, sink, pl, pr, ps, scale, n, h, t, v_rows, c, bt, has, num_warps=warps)
        ctx.save_for_backward(pl, pr if has else None, ps)
        ctx.shape = (scale, t, c, bt, has, rows, warps)
        return pl, (pr if has else None)

    @staticmethod
    def backward(ctx, gl, gr):
        pl, pr, ps = ctx.saved_tensors
        scale, t, c, bt, has, rows, warps = ctx.shape
        dl, dr, ds = torch.empty_like(pl), torch.empty_like(pr) if has else pl, torch.empty_like(ps)
        gl, gr = gl.contiguous(), gr.contiguous() if has else pl
        _soft_bwd[(rows,)](pl, pr if has else pl, ps, gl, gr, dl, dr, ds, scale, t, c, bt, has, num_warps=warps)
        return dl, (dr if has else None), ds.sum((0, 1, 3)), None, None


def sink_softmax(local, far, sink, visible, scale):
    """`visible` [B or 1, n, 1, C, T] bool; rows of a shared mask are indexed by token modulo its token count."""
    return _SinkSoftmax.apply(local, far, sink, visible, scale)
