"""Attention of model.md 3.4-3.6 over whole sequences: window, compressor, indexer, grouped output projection.

Queries are cut into chunks of 128, the window: a chunk sees its own rows and the chunk before. Compressed rows are scored
densely under a mask; with top-k the mask keeps the rows that the indexer ranks highest.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

import ops
from ops import fast

COMPUTE = torch.bfloat16 if torch.cuda.is_available() else torch.float32
CHUNK = 128


def half(*shape, std=None):
    return nn.Parameter((torch.randn(*shape) * (shape[-1] ** -0.5 if std is None else std)).to(COMPUTE))


def parameter32(t):
    return nn.Parameter(t.float())


def sim_nope(x, rope_dims):
    return torch.cat([ops.sim8(x[..., :-rope_dims], 64), x[..., -rope_dims:]], -1)


class Compressor(nn.Module):
    def __init__(self, c, ratio, dim):
        super().__init__()
        width = dim * (2 if ratio == 4 else 1)
        self.ratio, self.dim = ratio, dim
        self.wkv, self.wgate = half(width, c["hidden_size"]), half(width, c["hidden_size"])
        self.ape = parameter32(torch.randn(ratio, width) * 0.5)
        self.norm = parameter32(torch.ones(dim))

    def forward(self, x, tables, overlap=True):
        """x [B, S, D] -> rows [B, S / ratio, dim] rotated at each block's first token."""
        b, s, _ = x.shape
        r, t, d = self.ratio, s // self.ratio, self.dim
        kv = F.linear(x, self.wkv).view(b, t, r, -1).float()
        score = F.linear(x, self.wgate).view(b, t, r, -1).float() + self.ape
        if r == 4:  # the previous block votes with its first half, this block with its second
            if overlap:
                before = lambda z, empty: F.pad(z[:, :-1, :, :d], (0, 0, 0, 0, 1, 0), value=empty)
                kv = torch.cat([before(kv, 0.0), kv[..., d:]], 2)
                score = torch.cat([before(score, -1e30), score[..., d:]], 2)
            else:
                kv, score = kv[..., d:], score[..., d:]
        z = fast.rms((kv * torch.softmax(score, 2)).sum(2).to(x.dtype), self.norm)
        cos, sin = (table[:, ::r][:, :t] for table in tables)
        return fast.rope(z.unsqueeze(2), cos, sin).squeeze(2)


class Indexer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.dim = c["index_n_heads"], c["index_head_dim"]
        self.wq_b = half(self.heads * self.dim, c["q_lora_rank"])
        self.weights_proj = parameter32(torch.randn(self.heads, c["hidden_size"]) * c["hidden_size"] ** -0.5)
        self.compressor = Compressor(c, 4, self.dim)

    def _sim(self, x):
        return ops.sim4((x.float() @ ops.hadamard(self.dim, x.device)).to(x.dtype))

    def prepare(self, x, qr, tables, simulate):
        """-> keys [B, T, dim], queries [B, S, heads, dim], weights [B, S, heads]"""
        b, s, _ = x.shape
        keys = self.compressor(x, tables)
        q = fast.rope(F.linear(ops.sim8(qr, 128) if simulate else qr, self.wq_b).view(b, s, self.heads, self.dim), *tables)
        w = F.linear(x, self.weights_proj.to(x.dtype)) * (self.dim * self.heads) ** -0.5
        if simulate:
            # The Hadamard rotation leaves scores as they are, so it is only needed in front of the rounding.
            keys, q = self._sim(keys), self._sim(q)
        return keys, q, w

    @staticmethod
    def scores(keys, q, w):
        """[B, S, T] float32; the products in the compute type as the reference has them."""
        b, s, h, d = q.shape
        dots = torch.matmul(q.reshape(b, s * h, d), keys.transpose(1, 2)).view(b, s, h, -1)
        return (F.relu(dots) * w.unsqueeze(-1)).sum(2, dtype=torch.float32)


class Attention(nn.Module):
    def __init__(self, c, ratio):
        super().__init__()
        d, h, hd, rank = c["hidden_size"], c["num_attention_heads"], c["head_dim"], c["q_lora_rank"]
        self.ratio, self.heads, self.dim, self.groups = ratio, h, hd, c["o_groups"]
        self.rope_dims = c["qk_rope_head_dim"]
        self.wq_a, self.wq_b, self.wkv = half(rank, d), half(h * hd, rank), half(hd, d)
        self.q_norm, self.kv_norm = parameter32(torch.ones(rank)), parameter32(torch.ones(hd))
        self.wo_a = half(self.groups * c["o_lora_rank"], h * hd // self.groups)
        self.wo_b = half(d, self.groups * c["o_lora_rank"], std=0.01)
        self.attn_sink = parameter32(torch.zeros(h))
        if ratio:
            self.compressor = Compressor(c, ratio, hd)
        if ratio == 4:
            self.indexer = Indexer(c)

    def forward(self, x, run):
        b, s, _ = x.shape
        tables = run.tables["yarn" if self.ratio else "near"]
        xq = ops.sim8(x, 128) if run.simulate else x
        qr = fast.rms(F.linear(xq, self.wq_a), self.q_norm)
        q = F.linear(ops.sim8(qr, 128) if run.simulate else qr, self.wq_b).view(b, s, self.heads, self.dim)
        q = fast.rope(fast.rms(q), *tables)
        kv = fast.rope(fast.rms(F.linear(xq, self.wkv), self.kv_norm).unsqueeze(2), *tables).squeeze(2)
        rows = index = None
        if self.ratio:
            rows = self.compressor(x, tables, "overlap" not in run.off)
            if self.ratio == 4 and (run.kl or (run.topk and run.topk < rows.shape[1])):
                index = self.indexer.prepare(x.detach(), qr.detach(), tables, run.simulate)
        if run.simulate:
            kv = sim_nope(kv, self.rope_dims)
            rows = sim_nope(rows, self.rope_dims) if self.ratio else None

        chunks = kv.view(b, -1, CHUNK, self.dim)
        pairs = torch.cat([F.pad(chunks[:, :-1], (0, 0, 0, 0, 1, 0)), chunks], 2)  # [B, n, 2C, dim]
        n = chunks.shape[1]
        # Training takes all chunks at once; long evaluation texts go in pieces, else the scores would not fit.
        width = s // self.ratio if self.ratio else 2 * CHUNK
        step = n if torch.is_grad_enabled() else max(1, (1 << 30) // (CHUNK * self.heads * width * b))
        parts = [self._attend(q, pairs, rows, index, run, at, min(at + step, n)) for at in range(0, n, step)]
        o = torch.cat(parts, 1)
        if "inverse" not in run.off:
            o = fast.rope(o, tables[0], -tables[1])
        o = o.reshape(b * s, self.groups, -1).transpose(0, 1)
        u = torch.bmm(o, self.wo_a.view(self.groups, -1, o.shape[-1]).transpose(1, 2)).transpose(0, 1).reshape(b, s, -1)
        return F.linear(ops.sim8(u, 128) if run.simulate else u, self.wo_b)

    def _attend(self, q, pairs, rows, index, run, begin, end):
        """Attention output [B, tokens, H, dim] of the chunks begin..end."""
        b, hd, h, n = q.shape[0], self.dim, self.heads, end - begin
        q = q[:, begin * CHUNK : end * CHUNK].view(b, n, CHUNK, h, hd).transpose(2, 3).reshape(b, n, h * CHUNK, hd)
        near = pairs[:, begin:end]
        local = torch.matmul(q, near.transpose(-1, -2)).view(b, n, h, CHUNK, 2 * CHUNK)
        first = begin == 0
        sink = self.attn_sink - 1e4 if "sink" in run.off else self.attn_sink
        softmax = fast.sink_softmax if first and end == pairs.shape[1] else _sliced_softmax(first)
        if rows is None or {4: "csa", 128: "hca"}[self.ratio] in run.off:
            p, _ = softmax(local, None, sink, None, hd**-0.5)
            o = torch.matmul(p.view(b, n, h * CHUNK, 2 * CHUNK), near)
            return o.view(b, n, h, CHUNK, hd).transpose(2, 3).reshape(b, n * CHUNK, h, hd)
        t = rows.shape[1]
        far = torch.matmul(q.view(b, n * h * CHUNK, hd), rows.transpose(1, 2)).view(b, n, h, CHUNK, t)
        place = torch.arange(begin * CHUNK, end * CHUNK, device=q.device)[:, None]
        visible = (torch.arange(t, device=q.device)[None] < (place + 1) // self.ratio)[None]  # [1, tokens, T]
        if self.ratio == 4 and run.hide_csa is not None:
            visible = visible & ~run.hide_csa.view(-1, 1, 1)
        if index is not None and run.topk and run.topk < t:
            visible = self._select(index, visible, run, begin, end)
        pl, pr = softmax(local, far, sink, visible.view(-1, n, 1, CHUNK, t), hd**-0.5)
        if index is not None and run.kl:
            run.kl_losses.append(self._index_loss(index, visible, pr.detach(), n, t))
        o = torch.matmul(pl.view(b, n, h * CHUNK, 2 * CHUNK), near)
        o = o + torch.matmul(pr.view(b, n * h * CHUNK, t), rows).view(b, n, h * CHUNK, hd)
        return o.view(b, n, h, CHUNK, hd).transpose(2, 3).reshape(b, n * CHUNK, h, hd)

    @torch.no_grad()
    def _select(self, index, visible, run, begin, end):
        keys, q, w = index
        score = Indexer.scores(keys, q[:, begin * CHUNK : end * CHUNK], w[:, begin * CHUNK : end * CHUNK])
        if "indexer" in run.off:
            score = torch.rand_like(score)
        score = score.masked_fill(~visible, -1e30)
        best = score.topk(run.topk, -1).indices  # exactly k: scores of rows that every head rejects tie at zero
        return visible & torch.zeros_like(score, dtype=torch.bool).scatter_(-1, best, True)

    def _index_loss(self, index, visible, mass, n, t):
        """Cross-entropy from the indexer's softmax to the heads' mean attention mass, on every eighth query when long."""
        keys, q, w = index
        b, stride = q.shape[0], 8 if t > 256 else 1
        start = int(torch.randint(stride, (1,)))
        target = mass[:, :, :, start::stride].float().mean(2).reshape(b, -1, t)
        pick = lambda z: z.view(z.shape[0], n, CHUNK, *z.shape[2:])[:, :, start::stride].flatten(1, 2)
        score = Indexer.scores(keys, pick(q), pick(w)).masked_fill(~pick(visible), -1e30)
        return -(target * torch.log_softmax(score, -1)).masked_fill(~pick(visible), 0).sum() / (target.sum() + 1e-6)


def _sliced_softmax(first):
    """The plain softmax for a slice of chunks; only the text's very first chunk lacks a chunk before it."""

    def call(local, far, sink, visible, scale):
        if first:
            return ops.sink_softmax(local, far, sink, visible, scale)
        blank = lambda z: torch.cat([torch.zeros_like(z[:, :1]), z], 1) if z is not None else None
        pl, pr = ops.sink_softmax(blank(local), blank(far), sink, blank(visible), scale)
        return pl[:, 1:], (pr[:, 1:] if pr is not None else None)

    return call
