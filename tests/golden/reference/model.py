"""The whole model: embedding, blocks, head and the classic MTP block (spec 3.1, 3.8, 5.1)."""
import torch

from . import config as config_module
from . import ops
from .layer import Layer
from .safetensors_io import read_checkpoint
from .weights import Weights


def mtp_input(arith, e, h, enorm, hnorm, e_proj, h_proj, eps):
    """MTP block input [T, n, d] from embeddings e [T, d] and backbone states h [T, n, d]."""
    left = e_proj(arith, ops.rms(arith, e, enorm, eps))
    right = h_proj(arith, ops.rms(arith, h, hnorm, eps))
    return arith.bf(left[:, None, :] + right)


class Head:
    """Final stream mix, norm and the vocabulary matrix."""

    def __init__(self, weights, prefix, config):
        self.fn, self.base, self.scale = (weights.values(f"{prefix}hc_head_{part}") for part in ("fn", "base", "scale"))
        self.norm = weights.values(prefix + "norm.weight")
        self.head = weights.linear("head")
        self.config = config

    def logits(self, arith, h):
        """Logits of states h [T, n, d]."""
        c = self.config
        z = ops.hc_head(arith, h, self.fn, self.base, self.scale, c.hc_eps, c.rms_norm_eps)
        return self.head.exact(arith, ops.rms(arith, z, self.norm, c.rms_norm_eps))


class Model:
    """A checkpoint ready to run; layers are decoded one at a time, so only one layer's float64 weights are held."""

    def __init__(self, config, weights):
        self.config, self.weights = config, weights
        ratios = list(config.compress_ratios)
        if len(ratios) < config.num_hidden_layers:
            raise ValueError(f"compress_ratios has {len(ratios)} entries for {config.num_hidden_layers} layers")

    @classmethod
    def open(cls, directory):
        """Model of a checkpoint directory in the official layout."""
        return cls(config_module.load(directory), Weights(read_checkpoint(directory)))

    def has_mtp(self):
        """Whether the checkpoint holds the classic MTP block."""
        return self.weights.has("mtp.0.e_proj.weight")

    def layer(self, index):
        """Decode one backbone block."""
        prefix = f"layers.{index}."
        hashed = index < self.config.num_hash_layers
        return Layer(self.weights, prefix, self.config, self.config.compress_ratios[index], hashed)

    def embed(self, arith, tokens):
        """Embedding rows of token ids."""
        return arith.bf(self.weights.values("embed.weight")[tokens].to(arith.dtype))

    def states(self, arith, tokens, block=256, margins=None):
        """Backbone state [T, n, d] after the last layer."""
        h = self.embed(arith, tokens)[:, None, :].repeat(1, self.config.hc_mult, 1)
        for index in range(self.config.num_hidden_layers):
            h = self.layer(index).forward(arith, h, tokens, block, margins)
        return h

    def logits(self, arith, tokens, positions, block=256, margins=None, with_mtp=False):
        """(logits [P, vocab] of the positions, MTP logits or None).

        MTP row i of the second result belongs to the pair (state of position p_i, token p_i + 1) and predicts token
        p_i + 2; the last position of the sequence has no such pair, so it is left out (see mtp_positions).
        """
        h = self.states(arith, tokens, block, margins)
        result = Head(self.weights, "", self.config).logits(arith, h[positions])
        if not with_mtp:
            return result, None
        return result, self.mtp_logits(arith, h, tokens, mtp_positions(positions, len(tokens)), block)

    def mtp_logits(self, arith, h, tokens, positions, block=256):
        """Logits of the classic MTP block at RoPE positions 0..T-2, pairing state i with token i+1 (spec 5.2)."""
        c, w = self.config, self.weights
        if not self.has_mtp():
            raise ValueError("checkpoint has no classic MTP block (mtp.0.e_proj.weight)")
        following = tokens[:-1] if "mtp_unshifted" in arith.faults else tokens[1:]
        x = mtp_input(arith, self.embed(arith, following), h[:-1], w.values("mtp.0.enorm.weight"), w.values("mtp.0.hnorm.weight"),
                      w.linear("mtp.0.e_proj"), w.linear("mtp.0.h_proj"), c.rms_norm_eps)
        state = Layer(w, "mtp.0.", c, 0, False).forward(arith, x, following, block)
        return Head(w, "mtp.0.", c).logits(arith, state[positions])


def mtp_positions(positions, total):
    """Those positions that have a following token."""
    return positions[positions < total - 1]


def parse_positions(text, total):
    """Positions from `all`, `last:N` or a comma separated list (negative counts from the end)."""
    if text == "all":
        return torch.arange(total)
    if text.startswith("last:"):
        return torch.arange(max(0, total - int(text[5:])), total)
    chosen = [int(part) for part in text.split(",")]
    chosen = [p + total if p < 0 else p for p in chosen]
    if any(p < 0 or p >= total for p in chosen):
        raise ValueError(f"positions must lie in 0..{total - 1}")
    return torch.tensor(chosen)
