"""The DeepSeek-V4 architecture of model.md section 3 for training: whole sequences at once, dense or top-k CSA.

Parameter names are the official ones less ".weight"; routed experts are stacked (ffn.w1 [E, I, D]), shared ones are ffn.s1,
ffn.s2, ffn.s3. Matrices that the checkpoint stores as FP4, FP8 or BF16 products live in the compute type, the rest in float32.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import ops
from attention import Attention, half, parameter32
from ops import fast


class MoE(nn.Module):
    """Routed experts computed densely for all tokens (they are small), unrouted ones with weight zero."""

    def __init__(self, c, hashed, seed=0):
        super().__init__()
        e, i, d, k = c["n_routed_experts"], c["moe_intermediate_size"], c["hidden_size"], c["num_experts_per_tok"]
        self.c, self.n, self.k, self.hashed = c, e, k, hashed
        self.gate = parameter32(torch.randn(e, d) * d**-0.5)
        self.w1, self.w3, self.w2 = half(e, i, d), half(e, i, d), half(e, d, i, std=0.02)
        self.s1, self.s3, self.s2 = half(i, d), half(i, d), half(d, i, std=0.02)
        if hashed:
            g = torch.Generator().manual_seed(1234 + seed)
            table = torch.stack([torch.randperm(e, generator=g)[:k] for _ in range(c["vocab_size"])])
            self.register_buffer("tid2eid", table)
        else:
            self.register_buffer("bias", torch.zeros(e))
        self.load = None  # [E] routed tokens of the last batch
        self.observed = None  # reap.py: [2, E] sums of weight x output norm, and counts

    def route(self, x, ids, drop):
        """-> dense route weights [N, E]. `drop` [B, E] bool: experts hidden from each sequence."""
        score = torch.sqrt(F.softplus(F.linear(x.float(), self.gate)))
        rows = None if drop is None else x.shape[0] // drop.shape[0]
        if self.hashed:
            chosen = self.tid2eid[ids]
            if drop is not None:
                # A hidden expert is replaced by a random visible one, so that no particular remapping is learnt.
                order = torch.rand(drop.shape, device=x.device).masked_fill(drop, -1.0).argsort(-1, descending=True)
                each = torch.arange(self.n, device=x.device)[None].expand_as(drop)
                spare = order.gather(1, each % (~drop).sum(-1, keepdim=True))
                table = torch.where(drop, spare, each).repeat_interleave(rows, 0)
                chosen = table.gather(1, chosen)
        else:
            biased = score.detach() + self.bias
            if drop is not None:
                biased = biased.masked_fill(drop.repeat_interleave(rows, 0), -1e30)
            chosen = biased.topk(self.k, -1).indices
        w = score.gather(1, chosen)
        w = w / w.sum(-1, keepdim=True) * self.c["routed_scaling_factor"]
        return torch.zeros_like(score).scatter_add(1, chosen, w)

    def forward(self, x, ids, drop, simulate):
        w = self.route(x, ids, drop)
        if self.training:
            self.load = (w.detach() > 0).float().sum(0)
        n, e = x.shape[0], self.n + 1  # the shared expert rides along with weight 1
        i = self.w1.shape[1]
        if simulate:
            x = ops.sim8(x, 128)
        up = torch.cat([self.w3.flatten(0, 1), self.s3])
        gate = torch.cat([self.w1.flatten(0, 1), self.s1])
        g, u = F.linear(x, gate).view(n, e, i), F.linear(x, up).view(n, e, i)
        a = fast.expert_act(g, u, F.pad(w, (0, 1), value=1.0), self.c["swiglu_limit"], simulate)
        if self.observed is not None:
            for j in range(self.n):
                norm = F.linear(a[:, j], self.w2[j]).float().norm(dim=-1)
                self.observed[0, j] += norm[w[:, j] > 0].sum()
                self.observed[1, j] += (w[:, j] > 0).sum()
        down = torch.cat([self.w2.transpose(1, 2).flatten(0, 1), self.s2.t()])
        return torch.matmul(a.view(n, e * i), down)


class Block(nn.Module):
    def __init__(self, c, layer, ratio, hashed):
        super().__init__()
        d = c["hidden_size"]
        self.iterations = c["hc_sinkhorn_iters"]
        self.attn, self.ffn = Attention(c, ratio), MoE(c, hashed, layer)
        self.attn_norm, self.ffn_norm = parameter32(torch.ones(d)), parameter32(torch.ones(d))
        for k, site in enumerate(("attn", "ffn")):
            # Each sublayer starts by reading mainly one stream and leaving the streams almost unmixed.
            pre = torch.full((4,), -1.5)
            pre[(2 * layer + k) % 4] = 1.5
            base = torch.cat([pre, torch.randn(4) * 0.5, (torch.eye(4) * 4 + torch.randn(4, 4) * 0.3).flatten()])
            setattr(self, f"hc_{site}_fn", parameter32(torch.randn(24, 4 * d) * 0.01))
            setattr(self, f"hc_{site}_base", parameter32(base))
            setattr(self, f"hc_{site}_scale", parameter32(torch.full((3,), 0.2)))

    def _mix(self, x, site):
        fn, base, scale = (getattr(self, f"hc_{site}_{p}") for p in ("fn", "base", "scale"))
        m = fast.hc_mix(x, fn)
        pre = torch.sigmoid(m[:, :4] * scale[0] + base[:4]) + ops.EPS
        post = 2 * torch.sigmoid(m[:, 4:8] * scale[1] + base[4:8])
        comb = fast.sinkhorn((m[:, 8:] * scale[2] + base[8:]).view(-1, 4, 4), self.iterations)
        return pre, post, comb

    def forward(self, x, ids, run):
        """x [B, S, 4, D] -> same; `run` carries positions, options and collects the indexer losses."""
        b, s, _, d = x.shape
        x = x.view(b * s, 4, d)
        pre, post, comb = self._mix(x, "attn")
        y = self.attn(fast.hc_collapse(x, pre, self.attn_norm).view(b, s, d), run)
        x = fast.hc_expand(x, y.reshape(b * s, d), post, comb)
        pre, post, comb = self._mix(x, "ffn")
        drop = run.draw_drop(b, self.ffn.n, x.device)
        y = self.ffn(fast.hc_collapse(x, pre, self.ffn_norm), ids.reshape(-1), drop, run.simulate)
        return fast.hc_expand(x, y, post, comb).view(b, s, 4, d)


class Run:
    """Options of one forward pass. `topk` None = dense CSA; `far` [B, S] positions for the compressed layers' rope;
    `hide_csa` [B] bool rows without CSA entries; `drop` (share of rows, most experts hidden); `off` names of mechanisms
    switched off ("csa", "hca", "window", "sink", ...) to see what the answers depend on."""

    def __init__(self, topk=None, far=None, hide_csa=None, drop=None, simulate=False, kl=False, off=()):
        self.topk, self.far, self.hide_csa, self.drop = topk, far, hide_csa, drop
        self.simulate, self.kl, self.off = simulate, kl, set(off)
        self.kl_losses, self.tables = [], None

    def draw_drop(self, rows, experts, device):
        if self.drop is None:
            return None
        share, most = self.drop
        count = torch.randint(1, most + 1, (rows, 1), device=device)
        count = torch.where(torch.rand(rows, 1, device=device) < share, count, torch.zeros_like(count))
        return torch.rand(rows, experts, device=device).argsort(-1).argsort(-1) < count


def inverse_frequencies(theta, dims, yarn=None):
    f = theta ** (-torch.arange(0, dims, 2, dtype=torch.float64) / dims)
    if yarn:
        original = yarn["original_max_position_embeddings"]
        at = lambda turns: dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))
        low = max(math.floor(at(yarn["beta_fast"])), 0)
        high = min(math.ceil(at(yarn["beta_slow"])), dims - 1)
        ramp = ((torch.arange(dims // 2, dtype=torch.float64) - low) / max(high - low, 1e-3)).clamp(0, 1)
        f = f / yarn["factor"] * ramp + f * (1 - ramp)
    return f.float()


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        d, v, layers = c["hidden_size"], c["vocab_size"], c["num_hidden_layers"]
        self.embed, self.head = parameter32(torch.randn(v, d) * 0.5), parameter32(torch.randn(v, d) * 0.02)
        ratios = c["compress_ratios"]
        self.layers = nn.ModuleList([Block(c, n, ratios[n], n < c["num_hash_layers"]) for n in range(layers)])
        self.mtp = nn.ModuleList([Block(c, layers, 0, False)])
        for owner in (self, self.mtp[0]):
            owner.norm = parameter32(torch.ones(d))
            owner.hc_head_fn = parameter32(torch.randn(4, 4 * d) * 0.01)
            owner.hc_head_base = parameter32(torch.zeros(4))
            owner.hc_head_scale = parameter32(torch.full((1,), 0.2))
        m = self.mtp[0]
        m.enorm, m.hnorm = parameter32(torch.ones(d)), parameter32(torch.ones(d))
        m.e_proj, m.h_proj = half(d, d), half(d, d)
        dims = c["qk_rope_head_dim"]
        self.register_buffer("near", inverse_frequencies(c["rope_theta"], dims), persistent=False)
        self.register_buffer("yarn", inverse_frequencies(c["compress_rope_theta"], dims, c["rope_scaling"]), persistent=False)

    def _tables(self, run, length, device):
        here = torch.arange(length, device=device)[None]
        # As the engine: the angle is the float32 product, its sine and cosine taken with full range reduction.
        angle = lambda p, f: (p.float()[..., None] * f).double()
        a, b = angle(here, self.near), angle(here if run.far is None else run.far, self.yarn)
        run.tables = {"near": (a.cos().float(), a.sin().float()), "yarn": (b.cos().float(), b.sin().float())}

    def logits(self, owner, x):
        """Head of the backbone (owner = self) or of the MTP block on streams [N, 4, D]."""
        m = fast.hc_mix(x, owner.hc_head_fn)
        pre = torch.sigmoid(m * owner.hc_head_scale + owner.hc_head_base) + ops.EPS
        return F.linear(fast.hc_collapse(x, pre, owner.norm), self.head.to(x.dtype)).float()

    def streams(self, ids, run):
        """Backbone states [B, S, 4, D] of ids [B, S], S a multiple of 128."""
        self._tables(run, ids.shape[1], ids.device)
        x = F.embedding(ids, self.embed).to(self.mtp[0].e_proj.dtype)
        x = x.unsqueeze(2).expand(-1, -1, 4, -1).contiguous()
        for block in self.layers:
            x = block(x, ids, run)
        return x

    def draft(self, x, following, run):
        """MTP states from backbone (or its own) states x and the ids one position on."""
        m = self.mtp[0]
        e, h = fast.rms(F.embedding(following, self.embed).to(x.dtype), m.enorm), fast.rms(x, m.hnorm)
        if run.simulate:
            e, h = ops.sim8(e, 128), ops.sim8(h, 128)
        return m((F.linear(e, m.e_proj).unsqueeze(2) + F.linear(h, m.h_proj)).contiguous(), following, run)
