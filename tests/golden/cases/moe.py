"""Cases of routing, gated experts, their combination and the MTP input (spec 3.7, 5.1)."""
import torch

from reference import formats, moe
from reference import safetensors_io as st
from reference.model import mtp_input

from .book import EXACT, STRICT, TRUE, Maker, bf16_check, chained_check, close, i64, prefixed, with_true


def add_all(book):
    """Every case of this module."""
    routes(book)
    activations(book)
    experts(book)
    combines(book)
    mtp_inputs(book)


def routes(book):
    for seed, (tokens, count, k) in enumerate([(7, 5, 3), (6, 18, 6), (5, 160, 6), (4, 7, 2), (3, 256, 6)]):
        maker = Maker(800 + seed)
        logits, bias = maker.normal(tokens, count, std=3.0), maker.normal(count, std=0.5)
        logits[0, 0], logits[0, 1], logits[1, 0] = 25.0, -60.0, 19.999
        bias[-2] = bias[-1]
        logits[2, -1] = logits[2, -2] = logits[2].max() + 1  # the two best are equal: lowest id first
        logits[-1, 0:count - 1] = 1.0
        bias_flat = bias.clone()
        scores = moe.route_scores(STRICT, logits)
        for label, b in (("bias", bias_flat), ("ties", torch.zeros(count))):
            ids = moe.route_select(STRICT, scores, b, k)
            weights = moe.route_weights(STRICT, scores, ids, 1.5)
            book.add("route_score", f"{label}_{tokens}x{count}k{k}", {"k": k, "routed_scaling_factor": 1.5},
                     {"logits": st.stored_f32(logits), "bias": st.stored_f32(b)},
                     {"scores": (st.stored_f32(scores), close(1e-6)), "ids": (i64(ids), EXACT),
                      "weights": (st.stored_f32(weights), close(2e-6))})
        vocab = 11
        table = torch.stack([torch.randperm(count, generator=maker.generator)[:k] for _ in range(vocab)])
        table[4, 1] = table[4, 0]  # duplicates occur in pruned tables and count twice
        table[5, :] = count - 1
        tokens_in = torch.tensor([4, 5, 0, 10, 4, 7, 5])[:tokens]
        ids = table[tokens_in]
        weights = moe.route_weights(STRICT, scores, ids, 1.5)
        book.add("route_hash", f"{tokens}x{count}k{k}", {"routed_scaling_factor": 1.5},
                 {"logits": st.stored_f32(logits), "tid2eid": i64(table), "tokens": i64(tokens_in)},
                 {"ids": (i64(ids), EXACT), "weights": (st.stored_f32(weights), close(2e-6))})


def activations(book):
    for seed, (tokens, width, limit) in enumerate([(5, 44, 10.0), (3, 129, 2.5)]):
        maker = Maker(820 + seed)
        gate, up = maker.heavy(tokens, width, std=4.0), maker.heavy(tokens, width, std=4.0)
        weight = maker.uniform(tokens) * 1.5
        strict = formats.bf16(weight[:, None] * moe.swiglu(STRICT, gate, up, limit))
        true = weight.double()[:, None] * moe.swiglu(TRUE, gate.double(), up.double(), limit)
        book.add("swiglu", f"{tokens}x{width}", {"limit": limit},
                 {"gate": st.stored_bf16(gate), "up": st.stored_bf16(up), "weight": st.stored_f32(weight)},
                 with_true(strict, true, bf16_check(strict)))


def random_expert(maker, kind, hidden, inner):
    """An expert and its tensors."""
    w1, t1 = maker.matrix(kind, inner, hidden)
    w2, t2 = maker.matrix(kind, hidden, inner)
    w3, t3 = maker.matrix(kind, inner, hidden)
    tensors = {**prefixed("w1", t1), **prefixed("w2", t2), **prefixed("w3", t3)}
    return moe.Expert(w1, w2, w3), tensors


def experts(book):
    settings = [("fp4_odd", "fp4", 5, 72, 44), ("fp8_odd", "fp8", 4, 72, 44), ("bf16_odd", "bf16", 3, 72, 44), ("fp4_wide", "fp4", 2, 200, 264),
                ("fp8_wide", "fp8", 2, 200, 264)]
    for seed, (label, kind, tokens, hidden, inner) in enumerate(settings):
        maker = Maker(840 + seed)
        expert, tensors = random_expert(maker, kind, hidden, inner)
        x, weight = maker.heavy(tokens, hidden), maker.uniform(tokens) + 0.25
        strict, true = expert(STRICT, x, weight, 10.0), expert(TRUE, x.double(), weight.double(), 10.0)
        book.add("expert", label, {"limit": 10.0}, {"x": st.stored_bf16(x), "weight": st.stored_f32(weight), **tensors},
                 with_true(strict, true, chained_check(strict, 0.05 * float(strict.abs().max()))))


def combines(book):
    for seed, (tokens, hidden, inner, count, k) in enumerate([(6, 40, 24, 5, 3), (4, 72, 44, 18, 6)]):
        maker = Maker(860 + seed)
        tensors, routed = {}, []
        for e in range(count):
            expert, t = random_expert(maker, "fp4", hidden, inner)
            routed.append(expert)
            tensors.update(prefixed(f"experts.{e}", t))
        shared, t = random_expert(maker, "fp8", hidden, inner)
        tensors.update(prefixed("shared_experts", t))
        x = maker.heavy(tokens, hidden)
        ids = torch.stack([torch.randperm(count, generator=maker.generator)[:k] for _ in range(tokens)])
        ids[1, 1] = ids[1, 0]
        ids[2, :] = count - 1
        weights = maker.uniform(tokens, k) + 0.1
        strict = moe.combine(STRICT, x, ids, weights, routed, shared, 10.0)
        true = moe.combine(TRUE, x.double(), ids, weights.double(), routed, shared, 10.0)
        book.add("moe", f"{tokens}x{hidden}x{count}k{k}", {"limit": 10.0},
                 {"x": st.stored_bf16(x), "ids": i64(ids), "weights": st.stored_f32(weights), **tensors},
                 with_true(strict, true, chained_check(strict, 0.05 * float(strict.abs().max()))))


def mtp_inputs(book):
    maker = Maker(880)
    tokens, n, hidden = 3, 4, 72
    h, e = maker.heavy(tokens, n, hidden), maker.heavy(tokens, hidden)
    enorm, hnorm = maker.gain(hidden), maker.gain(hidden)
    e_proj, te = maker.matrix("fp8", hidden, hidden)
    h_proj, th = maker.matrix("fp8", hidden, hidden)
    strict = mtp_input(STRICT, e, h, enorm, hnorm, e_proj, h_proj, 1e-6)
    true = mtp_input(TRUE, e.double(), h.double(), enorm, hnorm, e_proj, h_proj, 1e-6)
    book.add("mtp_input", "odd", {"eps": 1e-6},
             {"embedding": st.stored_bf16(e), "h": st.stored_bf16(h), "enorm": st.stored_bf16(enorm), "hnorm": st.stored_bf16(hnorm),
              **prefixed("e_proj", te), **prefixed("h_proj", th)},
             with_true(strict, true, chained_check(strict, 0.05 * float(strict.abs().max()))))
