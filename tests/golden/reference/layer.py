"""One transformer block over a whole sequence: hyper-connections around attention and experts (spec 3.2 to 3.7).

The block runs over all tokens at once; only queries are processed in blocks, which bounds memory and changes nothing.
"""
import torch

from . import attention, moe, ops, rope


class Compressor:
    """Projections and parameters of one compressor."""

    def __init__(self, weights, prefix):
        self.wkv, self.wgate = weights.linear(prefix + "wkv"), weights.linear(prefix + "wgate")
        self.ape, self.norm = weights.values(prefix + "ape"), weights.values(prefix + "norm.weight")
        self.ratio = self.ape.shape[0]

    def rows(self, arith, x, freqs, eps, index):
        """All complete compressed rows of the layer inputs x [T, d]."""
        kv = self.wkv.exact(arith, x)
        score = attention.add_ape(arith, self.wgate.exact(arith, x), self.ape)
        pooled = attention.pool(arith, kv, score, self.ratio)
        return attention.finish_rows(arith, pooled, self.norm, 0, self.ratio, freqs, eps, index)


class HyperConnection:
    """Parameters of the hyper-connection around one sublayer."""

    def __init__(self, weights, prefix, config):
        self.fn, self.base, self.scale = (weights.values(prefix + part) for part in ("fn", "base", "scale"))
        self.config = config

    def mix(self, arith, h):
        """pre, post and comb of the streams h."""
        c = self.config
        return ops.hc_mix(arith, h, self.fn, self.base, self.scale, c.hc_sinkhorn_iters, c.hc_eps, c.rms_norm_eps)


class Layer:
    """Weights and forward pass of one block; `ratio` 0 = window only, 4 = indexed, other = all compressed rows."""

    def __init__(self, weights, prefix, config, ratio, hashed):
        self.config, self.ratio = config, ratio
        self.attn_norm, self.ffn_norm = weights.values(prefix + "attn_norm.weight"), weights.values(prefix + "ffn_norm.weight")
        self.hc_attn = HyperConnection(weights, prefix + "hc_attn_", config)
        self.hc_ffn = HyperConnection(weights, prefix + "hc_ffn_", config)
        a = prefix + "attn."
        self.wq_a, self.wq_b, self.wkv = (weights.linear(a + name) for name in ("wq_a", "wq_b", "wkv"))
        self.wo_a, self.wo_b = weights.linear(a + "wo_a"), weights.linear(a + "wo_b")
        self.q_norm, self.kv_norm = weights.values(a + "q_norm.weight"), weights.values(a + "kv_norm.weight")
        self.sink = weights.values(a + "attn_sink")
        if ratio:
            self.compressor = Compressor(weights, a + "compressor.")
            if self.compressor.ratio != ratio:
                raise ValueError(f"{a}compressor.ape has {self.compressor.ratio} rows, compress_ratios says {ratio}")
        if ratio == 4:
            self.index_wq_b = weights.linear(a + "indexer.wq_b")
            self.index_proj = weights.linear(a + "indexer.weights_proj")
            self.index_compressor = Compressor(weights, a + "indexer.compressor.")
        theta = config.compress_rope_theta if ratio else config.rope_theta
        self.freqs = rope.frequencies(config.qk_rope_head_dim, theta, config.rope_scaling if ratio else None)
        f = prefix + "ffn."
        self.gate = weights.linear(f + "gate")
        self.tid2eid = weights.values(f + "gate.tid2eid") if hashed else None
        self.bias = None if hashed else weights.values(f + "gate.bias")
        count = self.gate.weight.shape[0]
        if hashed and (self.tid2eid.min() < 0 or self.tid2eid.max() >= count):
            raise ValueError(f"{f}gate.tid2eid names an expert outside 0..{count - 1}")
        self.experts = [load_expert(weights, f"{f}experts.{e}.") for e in range(count)]
        self.shared = load_expert(weights, f + "shared_experts.")

    def forward(self, arith, h, tokens, block=256, margins=None):
        """h [T, n, d] and token ids [T] to the new h; margins collects the smallest selection gaps if it is a dict."""
        total = h.shape[0]
        spans = [(s, min(s + block, total)) for s in range(0, total, block)]
        mixes = [self.hc_attn.mix(arith, h[s:e]) for s, e in spans]
        x = torch.cat([ops.rms(arith, ops.hc_reduce(arith, h[s:e], mix[0]), self.attn_norm, self.config.rms_norm_eps)
                       for (s, e), mix in zip(spans, mixes)])
        raw, compressed, keys = self.cache_rows(arith, x)
        out = []
        for (s, e), (_, post, comb) in zip(spans, mixes):
            y = self.attend(arith, x[s:e], torch.arange(s, e), raw, compressed, keys, margins)
            mid = ops.hc_expand(arith, y, h[s:e], post, comb)
            pre, post, comb = self.hc_ffn.mix(arith, mid)
            z = ops.rms(arith, ops.hc_reduce(arith, mid, pre), self.ffn_norm, self.config.rms_norm_eps)
            out.append(ops.hc_expand(arith, self.feed_forward(arith, z, tokens[s:e], margins), mid, post, comb))
        return torch.cat(out)

    def cache_rows(self, arith, x):
        """Raw KV rows, compressed rows and indexer keys of all tokens (None where the layer has none)."""
        c = self.config
        raw = self.raw_rows(arith, x, torch.arange(x.shape[0]))
        dropped = ("no_csa" if self.ratio == 4 else "no_hca") in arith.faults
        if not self.ratio or dropped or x.shape[0] < self.ratio:
            return raw, None, None
        compressed = self.compressor.rows(arith, x, self.freqs, c.rms_norm_eps, False)
        keys = self.index_compressor.rows(arith, x, self.freqs, c.rms_norm_eps, True) if self.ratio == 4 else None
        return raw, compressed, keys

    def raw_rows(self, arith, x, positions):
        """Raw KV rows of the layer inputs x at their positions."""
        c = self.config
        kv = ops.rms(arith, self.wkv(arith, x), self.kv_norm, c.rms_norm_eps)
        return attention.sim_nope(arith, rope.rotate(arith, kv, positions, self.freqs), c.qk_rope_head_dim)

    def queries(self, arith, x, positions):
        """The low-rank query vectors and the finished heads [T, H, D]."""
        c = self.config
        qr = ops.rms(arith, self.wq_a(arith, x), self.q_norm, c.rms_norm_eps)
        q = self.wq_b(arith, qr).reshape(x.shape[0], c.num_attention_heads, c.head_dim)
        if "no_q_norm" not in arith.faults:
            q = ops.q_head_norm(arith, q, c.rms_norm_eps)
        return qr, rope.rotate(arith, q, positions, self.freqs)

    def attend(self, arith, x, positions, raw, compressed, keys, margins):
        """Attention output of a block of queries."""
        c = self.config
        qr, q = self.queries(arith, x, positions)
        window = c.sliding_window - (1 if "window_minus_1" in arith.faults else 0)
        first = max(0, int(positions[0]) - window + 1)
        back = positions[:, None] - torch.arange(first, int(positions[-1]) + 1)[None, :]
        parts = [(raw[first:int(positions[-1]) + 1], (back >= 0) & (back < window))]
        if compressed is not None:
            visible = (positions + (0 if "visible_off_by_one" in arith.faults else 1)) // self.ratio
            rows = int(visible.max())
            if keys is not None and rows:
                chosen, valid = self.select(arith, x, qr, positions, keys[:rows], visible, margins)
                parts.append((compressed[chosen], valid))
            elif rows:
                parts.append((compressed[:rows], torch.arange(rows)[None, :] < visible[:, None]))
        return self.read_rows(arith, q, positions, parts)

    def read_rows(self, arith, q, positions, parts):
        """Attention of finished queries over row sets (see sink_attention), rotated back and projected."""
        c = self.config
        o = attention.sink_attention(arith, q, parts, self.sink, c.head_dim**-0.5)
        if "no_inverse_rope" not in arith.faults:
            o = rope.rotate(arith, o, positions, self.freqs, inverse=True)
        return attention.grouped_output(arith, o, self.wo_a, self.wo_b, c.o_groups)

    def select(self, arith, x, qr, positions, keys, visible, margins):
        """Indexer: compressed row indices of each query and which of them count."""
        c = self.config
        iq = self.index_wq_b(arith, qr).reshape(x.shape[0], c.index_n_heads, c.index_head_dim)
        iq = attention.index_query(arith, iq, positions, self.freqs)
        weights = attention.index_weights(arith, self.index_proj(arith, x), c.index_n_heads, c.index_head_dim)
        scores = attention.index_scores(arith, iq, keys, weights)
        if margins is not None:
            note_margin(margins, "index", scores, visible, c.index_topk)
        if "index_first_rows" in arith.faults:
            scores = -torch.arange(scores.shape[1], dtype=scores.dtype).expand_as(scores)
        return attention.index_select(scores, visible, c.index_topk)

    def feed_forward(self, arith, x, tokens, margins):
        """Mixture of experts for a block of tokens."""
        c = self.config
        scores = moe.route_scores(arith, self.gate.exact(arith, x))
        if self.tid2eid is not None:
            ids = self.tid2eid[tokens]
        else:
            bias = torch.zeros_like(self.bias) if "no_bias" in arith.faults else self.bias
            ids = moe.route_select(arith, scores, bias, c.num_experts_per_tok)
            if margins is not None:
                everything = torch.full((x.shape[0],), scores.shape[1])
                note_margin(margins, "route", scores + bias, everything, c.num_experts_per_tok)
        weights = moe.route_weights(arith, scores, ids, c.routed_scaling_factor, c.norm_topk_prob, self.bias)
        return moe.combine(arith, x, ids, weights, self.experts, self.shared, c.swiglu_limit)


def load_expert(weights, prefix):
    """Expert from its three matrices."""
    return moe.Expert(*(weights.linear(prefix + name) for name in ("w1", "w2", "w3")))


def note_margin(margins, kind, values, visible, k):
    """Record the smallest gap between the last selected and the first rejected value, relative to the values' size."""
    if values.shape[1] <= k:
        return
    masked = values.masked_fill(torch.arange(values.shape[1])[None, :] >= visible[:, None], -torch.inf)
    best = masked.sort(-1, descending=True)[0]
    gap = (best[:, k - 1] - best[:, k]) / values.abs().amax(-1)
    gap = gap[visible > k]
    if gap.numel():
        margins[kind] = min(margins.get(kind, float("inf")), float(gap.min()))
        margins.setdefault(kind + "_gaps", []).append(gap)
