"""Drafting with the classic MTP block and with the chained blocks of DSpark (spec 5.2, 5.4), for a given choice of tokens.

Position p stands for a timeline t_0..t_p that the backbone has seen and a newly drawn token t_{p+1}; draft i proposes the
token of position p+2+i. Nothing is cached: every draft recomputes all rows from the first position.
"""
import torch

from . import ops
from .layer import Layer
from .model import Head, mtp_input


def classic_logits(model, arith, h, tokens, p, chosen):
    """Logits [len(chosen), vocab] of the drafts behind t_{p+1}; draft i follows the tokens chosen[:i].

    h: backbone states of t_0..t_p or more. The first p+1 rows pair the state of a token with the next token; each further
    row pairs the block's own last state with the token drafted from it.
    """
    c, w = model.config, model.weights
    layer, head = Layer(w, "mtp.0.", c, 0, False), Head(w, "mtp.0.", c)
    norms = [w.values(f"mtp.0.{name}.weight") for name in ("enorm", "hnorm")]
    projections = [w.linear(f"mtp.0.{name}") for name in ("e_proj", "h_proj")]
    states, following, out = h[:p + 1], tokens[1:p + 2], []
    for token in chosen:
        x = mtp_input(arith, model.embed(arith, following), states, *norms, *projections, c.rms_norm_eps)
        last = layer.forward(arith, x, following)[-1:]
        out.append(head.logits(arith, last)[0])
        states, following = torch.cat((states, last)), torch.cat((following, token.reshape(1)))
    return torch.stack(out)


def layer_means(model, arith, tokens):
    """Means over the streams of the target layers' outputs, side by side: [T, targets * d]."""
    h = model.embed(arith, tokens)[:, None, :].repeat(1, model.config.hc_mult, 1)
    means = {}
    for index in range(model.config.num_hidden_layers):
        h = model.layer(index).forward(arith, h, tokens)
        means[index] = arith.bf(arith.total(h, 1) / h.shape[1])
    return torch.cat([means[index] for index in model.config.dspark_target_layer_ids], -1)


def dspark_block(arith, layer, main, h, tokens, p):
    """One block over the draft rows h [B, n, d] at positions p+1.., reading the rows of main [p+1, d] and all of its own."""
    c = layer.config
    positions = torch.arange(p + 1, p + 1 + h.shape[0])
    first = max(0, p + 1 - c.sliding_window)
    before = layer.raw_rows(arith, main[first:], torch.arange(first, p + 1))
    pre, post, comb = layer.hc_attn.mix(arith, h)
    x = ops.rms(arith, ops.hc_reduce(arith, h, pre), layer.attn_norm, c.rms_norm_eps)
    rows = torch.cat((before, layer.raw_rows(arith, x, positions)))
    _, q = layer.queries(arith, x, positions)
    everything = torch.ones(h.shape[0], rows.shape[0], dtype=torch.bool)
    h = ops.hc_expand(arith, layer.read_rows(arith, q, positions, [(rows, everything)]), h, post, comb)
    pre, post, comb = layer.hc_ffn.mix(arith, h)
    x = ops.rms(arith, ops.hc_reduce(arith, h, pre), layer.ffn_norm, c.rms_norm_eps)
    return ops.hc_expand(arith, layer.feed_forward(arith, x, tokens, None), h, post, comb)


def dspark_logits(model, arith, means, tokens, p, chosen):
    """Logits [block size, vocab] of the drafts behind t_{p+1}; draft i follows chosen[i-1] (draft 0: t_{p+1})."""
    c, w = model.config, model.weights
    count = 1
    while w.has(f"mtp.{count}.attn.attn_sink"):
        count += 1
    main = ops.rms(arith, w.linear("mtp.0.main_proj")(arith, means[:p + 1]), w.values("mtp.0.main_norm.weight"), c.rms_norm_eps)
    block = torch.full((c.dspark_block_size,), c.dspark_noise_token_id)
    block[0] = tokens[p + 1]
    h = model.embed(arith, block)[:, None, :].repeat(1, c.hc_mult, 1)
    for index in range(count):
        h = dspark_block(arith, Layer(w, f"mtp.{index}.", c, 0, False), main, h, block, p)
    last = f"mtp.{count - 1}."
    logits = Head(w, last, c).logits(arith, h)
    before = torch.cat((tokens[p + 1].reshape(1), chosen[:-1]))
    w1, w2 = w.linear(last + "markov_head.markov_w1"), w.linear(last + "markov_head.markov_w2")
    return arith.settle(logits.double() + w2.exact(arith, w1.weight[before].to(arith.dtype)).double())
