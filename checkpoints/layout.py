"""The tensor inventory of an official DeepSeek-V4 checkpoint, derived from config.json alone.

One list of logical tensors (name, kind, shape) is the single source for the exporter, which writes it, and for
the verifier, which demands it. It knows nothing of files or of values.
"""

import collections

# kind -> what is stored: FP4 and FP8 matrices become a .weight and a .scale tensor, the others one tensor.
Tensor = collections.namedtuple("Tensor", "name kind shape")
Stored = collections.namedtuple("Stored", "name dtype shape")

FP8_BLOCK = 128  # rows and columns that share one E8M0 scale
FP4_BLOCK = 32  # columns of one row that share one E8M0 scale
PLAIN_DTYPE = {"bf16": "BF16", "f32": "F32", "i64": "I64"}


def ceil_div(a, b):
    return -(-a // b)


def _hyper_connection(prefix, config):
    mult, width = config["hc_mult"], config["hc_mult"] * config["hidden_size"]
    rows = mult * (mult + 2)  # pre, post and the mult x mult stream matrix
    for site in ("attn", "ffn"):
        yield Tensor(f"{prefix}hc_{site}_fn", "f32", (rows, width))
        yield Tensor(f"{prefix}hc_{site}_base", "f32", (rows,))
        yield Tensor(f"{prefix}hc_{site}_scale", "f32", (3,))


def _head_mix(prefix, config):
    mult = config["hc_mult"]
    yield Tensor(f"{prefix}hc_head_fn", "f32", (mult, mult * config["hidden_size"]))
    yield Tensor(f"{prefix}hc_head_base", "f32", (mult,))
    yield Tensor(f"{prefix}hc_head_scale", "f32", (1,))


def _compressor(prefix, config, ratio, head_dim):
    width = head_dim * (2 if ratio == 4 else 1)  # ratio 4 overlaps two blocks: one half of the width for each
    hidden = config["hidden_size"]
    yield Tensor(f"{prefix}ape", "f32", (ratio, width))
    yield Tensor(f"{prefix}wkv.weight", "bf16", (width, hidden))
    yield Tensor(f"{prefix}wgate.weight", "bf16", (width, hidden))
    yield Tensor(f"{prefix}norm.weight", "bf16", (head_dim,))


def _attention(prefix, config, ratio):
    hidden, heads, head_dim = config["hidden_size"], config["num_attention_heads"], config["head_dim"]
    q_rank, groups, o_rank = config["q_lora_rank"], config["o_groups"], config["o_lora_rank"]
    yield Tensor(f"{prefix}attn_sink", "f32", (heads,))
    yield Tensor(f"{prefix}q_norm.weight", "bf16", (q_rank,))
    yield Tensor(f"{prefix}kv_norm.weight", "bf16", (head_dim,))
    yield Tensor(f"{prefix}wq_a", "fp8", (q_rank, hidden))
    yield Tensor(f"{prefix}wq_b", "fp8", (heads * head_dim, q_rank))
    yield Tensor(f"{prefix}wkv", "fp8", (head_dim, hidden))
    yield Tensor(f"{prefix}wo_a", "fp8", (groups * o_rank, heads * head_dim // groups))
    yield Tensor(f"{prefix}wo_b", "fp8", (hidden, groups * o_rank))
    if ratio:
        yield from _compressor(f"{prefix}compressor.", config, ratio, head_dim)
    if ratio == 4:
        index_heads, index_dim = config["index_n_heads"], config["index_head_dim"]
        yield Tensor(f"{prefix}indexer.wq_b", "fp8", (index_heads * index_dim, q_rank))
        yield Tensor(f"{prefix}indexer.weights_proj.weight", "bf16", (index_heads, hidden))
        yield from _compressor(f"{prefix}indexer.compressor.", config, ratio, index_dim)


def _mlp(prefix, kind, config, inter):
    hidden = config["hidden_size"]
    yield Tensor(f"{prefix}w1", kind, (inter, hidden))
    yield Tensor(f"{prefix}w2", kind, (hidden, inter))
    yield Tensor(f"{prefix}w3", kind, (inter, hidden))


def _moe(prefix, config, n_experts, hashed, expert_kind):
    inter = config["moe_intermediate_size"]
    yield Tensor(f"{prefix}gate.weight", "bf16", (n_experts, config["hidden_size"]))
    if hashed:
        yield Tensor(f"{prefix}gate.tid2eid", "i64", (config["vocab_size"], config["num_experts_per_tok"]))
    else:
        yield Tensor(f"{prefix}gate.bias", "f32", (n_experts,))
    for expert in range(n_experts):
        yield from _mlp(f"{prefix}experts.{expert}.", expert_kind, config, inter)
    yield from _mlp(f"{prefix}shared_experts.", "fp8", config, inter * config["n_shared_experts"])


def _block(prefix, config, ratio, n_experts, hashed, expert_kind):
    hidden = config["hidden_size"]
    yield Tensor(f"{prefix}attn_norm.weight", "bf16", (hidden,))
    yield Tensor(f"{prefix}ffn_norm.weight", "bf16", (hidden,))
    yield from _hyper_connection(prefix, config)
    yield from _attention(f"{prefix}attn.", config, ratio)
    yield from _moe(f"{prefix}ffn.", config, n_experts, hashed, expert_kind)


def tensors(config, n_experts=None, n_mtp=None, mtp_flavour="classic"):
    """All logical tensors of a checkpoint, as Tensor(name, kind, shape).

    `n_experts` maps a block prefix ("layers.3.", "mtp.0.") to its routed expert count; blocks not in it, and
    None, take config's n_routed_experts (pruned checkpoints may differ per layer). `n_mtp` is the number of MTP
    blocks present, by default config's num_nextn_predict_layers; `mtp_flavour` is "classic" or "dspark".
    """
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    layers, ratios = config["num_hidden_layers"], config["compress_ratios"]
    n_mtp = config["num_nextn_predict_layers"] if n_mtp is None else n_mtp
    expert_kind = {"fp4": "fp4", "fp8": "fp8"}[config.get("expert_dtype", "fp4")]
    count = lambda prefix: (n_experts or {}).get(prefix, config["n_routed_experts"])

    yield Tensor("embed.weight", "bf16", (vocab, hidden))
    yield Tensor("head.weight", "bf16", (vocab, hidden))
    yield Tensor("norm.weight", "bf16", (hidden,))
    yield from _head_mix("", config)
    for layer in range(layers):
        prefix = f"layers.{layer}."
        hashed = layer < config["num_hash_layers"]
        yield from _block(prefix, config, ratios[layer], count(prefix), hashed, expert_kind)
    for block in range(n_mtp):
        prefix = f"mtp.{block}."
        yield from _block(prefix, config, 0, count(prefix), False, expert_kind)
        last = block == n_mtp - 1
        if mtp_flavour == "classic":
            yield Tensor(f"{prefix}e_proj", "fp8", (hidden, hidden))
            yield Tensor(f"{prefix}h_proj", "fp8", (hidden, hidden))
            yield Tensor(f"{prefix}enorm.weight", "bf16", (hidden,))
            yield Tensor(f"{prefix}hnorm.weight", "bf16", (hidden,))
        elif block == 0:
            sources = len(config["dspark_target_layer_ids"])
            yield Tensor(f"{prefix}main_proj", "fp8", (hidden, sources * hidden))
            yield Tensor(f"{prefix}main_norm.weight", "bf16", (hidden,))
        if mtp_flavour == "classic" or last:
            yield Tensor(f"{prefix}norm.weight", "bf16", (hidden,))
            yield from _head_mix(prefix, config)
        if mtp_flavour == "dspark" and last:
            rank = config["dspark_markov_rank"]
            yield Tensor(f"{prefix}markov_head.markov_w1.weight", "bf16", (vocab, rank))
            yield Tensor(f"{prefix}markov_head.markov_w2.weight", "bf16", (vocab, rank))
            yield Tensor(f"{prefix}confidence_head.proj.weight", "bf16", (1, hidden + rank))


def stored(tensor):
    """The one or two stored tensors of a logical one, as Stored(name, dtype, shape)."""
    if tensor.kind in PLAIN_DTYPE:
        return [Stored(tensor.name, PLAIN_DTYPE[tensor.kind], tensor.shape)]
    rows, cols = tensor.shape
    if tensor.kind == "fp8":
        scale = (ceil_div(rows, FP8_BLOCK), ceil_div(cols, FP8_BLOCK))
        weight = Stored(f"{tensor.name}.weight", "F8_E4M3", (rows, cols))
    else:
        scale = (rows, ceil_div(cols, FP4_BLOCK))
        weight = Stored(f"{tensor.name}.weight", "I8", (rows, ceil_div(cols, 2)))
    return [weight, Stored(f"{tensor.name}.scale", "F8_E8M0", scale)]
