"""Compressor, indexer, sparse attention with sinks and the grouped output projection (spec 3.4 to 3.6)."""
import torch

from . import ops, rope


def overlaps(ratio):
    """Whether blocks of this ratio also read the previous block's tokens."""
    return ratio == 4


def pool(arith, kv, score, ratio):
    """Compressed rows before rounding: softmax-pooled kv over each complete block, per dim.

    kv, score: [T, w] with ape already in score; w = 2D for ratio 4 (first half read as "previous block"), else D.
    Returns [T/ratio, D].
    """
    n = kv.shape[0] // ratio
    kv = kv[:n * ratio].reshape(n, ratio, kv.shape[-1])
    score = score[:n * ratio].reshape(n, ratio, score.shape[-1])
    if overlaps(ratio):
        dim = kv.shape[-1] // 2
        if "overlap_swapped" in arith.faults:
            kv, score = kv.roll(dim, -1), score.roll(dim, -1)
        before_kv = torch.cat((torch.zeros_like(kv[:1, :, :dim]), kv[:-1, :, :dim]))[:n]
        before_score = torch.cat((torch.full_like(score[:1, :, :dim], -torch.inf), score[:-1, :, :dim]))[:n]
        if "no_overlap" in arith.faults:
            before_score = torch.full_like(before_score, -torch.inf)
        kv = torch.cat((before_kv, kv[..., dim:]), 1)
        score = torch.cat((before_score, score[..., dim:]), 1)
    weight = arith.fn(torch.exp, score - score.amax(1, keepdim=True))
    weight = weight / arith.total(weight, 1, keepdim=True)
    return arith.total(weight.double() * kv.double(), 1)


def add_ape(arith, score, ape, first_position=0):
    """Gate scores of consecutive tokens plus the ape row of each token's position modulo the ratio."""
    if "no_ape" in arith.faults:
        return score
    index = (torch.arange(score.shape[0]) + first_position + (1 if "ape_shifted" in arith.faults else 0)) % ape.shape[0]
    return score + ape.to(arith.dtype)[index]


def finish_rows(arith, pooled, norm, first_row, ratio, freqs, eps, index):
    """Pooled rows to cache rows: BF16, norm, RoPE at the block's first token, then the KV or indexer simulation."""
    z = ops.rms(arith, arith.bf(pooled), norm, eps)
    positions = (torch.arange(z.shape[0]) + first_row) * ratio
    if "comp_rope_last" in arith.faults:
        positions = positions + ratio - 1
    z = rope.rotate(arith, z, positions, freqs)
    if index:
        return arith.sim_index(ops.hadamard(arith, z))
    return sim_nope(arith, z, 2 * freqs.numel())


def sim_nope(arith, z, rope_dim):
    """FP8 simulation of all but the rotated dims of KV rows."""
    return torch.cat((arith.sim_kv(z[..., :-rope_dim]), z[..., -rope_dim:]), -1)


def index_query(arith, iq, positions, freqs):
    """Indexer queries [T, heads, dim] after projection: RoPE, Hadamard, FP4 simulation."""
    return arith.sim_index(ops.hadamard(arith, rope.rotate(arith, iq, positions, freqs)))


def index_weights(arith, projected, heads, dim):
    """Indexer head weights from the projection of x."""
    scale = torch.tensor(dim**-0.5 * heads**-0.5, dtype=arith.dtype)
    return arith.bf(projected * scale)


def index_scores(arith, iq, keys, weights):
    """score[t, n] = sum over heads of relu(iq . ik) * weight with the strict BF16 roundings."""
    total = torch.zeros(iq.shape[0], keys.shape[0], dtype=torch.float64)
    keys_t = keys.double().t()
    for head in range(iq.shape[1]):
        dot = arith.bf(arith.matmul(iq[:, head], keys_t))
        if "index_no_relu" not in arith.faults:
            dot = torch.relu(dot)
        total += arith.bf(dot * weights[:, head, None]).double()
    return arith.bf(arith.settle(total))


def index_select(scores, visible, k):
    """Selected row indices per query and their validity: the min(k, visible) best of the first `visible` rows."""
    rows = torch.arange(scores.shape[1])
    masked = scores.masked_fill(rows[None, :] >= visible[:, None], -torch.inf)
    chosen = ops.top_k(masked, min(k, scores.shape[1]))
    valid = torch.arange(chosen.shape[1])[None, :] < visible[:, None]
    return chosen, valid


def sink_attention(arith, q, parts, sink, scale):
    """Attention of q [T, H, D] over row sets with a sink that only enters the denominator.

    parts: list of (rows, mask): rows [K, D] shared or [T, K, D] per query, mask [T, K] true where the row counts.
    """
    qd = q.double()
    scores = []
    for rows, mask in parts:
        r = rows.double()
        s = torch.einsum("thd,kd->thk" if r.dim() == 2 else "thd,tkd->thk", qd, r)
        s = arith.settle(s) * torch.tensor(scale, dtype=arith.dtype)
        scores.append(s.masked_fill(~mask[:, None, :], -torch.inf))
    s = torch.cat(scores, -1)
    top = s.amax(-1, keepdim=True)
    p = arith.fn(torch.exp, s - top)
    z = p.double().sum(-1)
    if "no_sink" not in arith.faults:
        z = z + arith.fn(torch.exp, sink.to(arith.dtype)[None, :] - top[..., 0]).double()
    p = arith.bf(p).double()
    out, start = 0, 0
    for rows, _ in parts:
        r = rows.double()
        part = p[..., start:start + r.shape[-2]]
        out = out + torch.einsum("thk,kd->thd" if r.dim() == 2 else "thk,tkd->thd", part, r)
        start += r.shape[-2]
    return arith.bf(arith.settle(out) / arith.settle(z)[..., None])


def grouped_output(arith, o, wo_a, wo_b, groups):
    """o [T, H, D]: per-group low-rank projection without activation quantisation, then wo_b."""
    tokens = o.shape[0]
    o = o.reshape(tokens, groups, -1)
    rank = wo_a.weight.shape[0] // groups
    u = [arith.bf(arith.matmul(o[:, g], wo_a.weight[g * rank:(g + 1) * rank].t())) for g in range(groups)]
    return wo_b(arith, torch.cat(u, -1))
