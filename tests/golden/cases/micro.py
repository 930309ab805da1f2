"""Micro-models of `ds4-sweep selftest`: one layer each, every mechanism neutral except those a model is there to show.

Neutral means that getting the mechanism wrong changes nothing: a window longer than the text, sinks of weight zero, matrices of
zeros behind a mechanism, streams that stay equal. So a wrong mechanism moves the logits of its own models only.
"""
import numpy as np
import torch

from reference import safetensors_io as st

from .book import Maker, stored_matrix
from .checkpoints import BASE, FP8, Builder

NEUTRAL = {
    "hidden_size": 24, "vocab_size": 23, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 24, "qk_rope_head_dim": 8,
    "q_lora_rank": 20, "o_groups": 1, "o_lora_rank": 12, "sliding_window": 64, "compress_ratios": [0], "index_n_heads": 3,
    "index_head_dim": 16, "index_topk": 64, "num_experts_per_tok": 1, "moe_intermediate_size": 8, "num_hash_layers": 0,
    "num_nextn_predict_layers": 0, "hc_mult": 2, "compress_rope_theta": 10000, "rope_scaling": None,
    "routed_scaling_factor": 1.0, "swiglu_limit": 1000.0,
}
YARN = {"beta_fast": 32, "beta_slow": 1, "factor": 16, "original_max_position_embeddings": 64, "type": "yarn"}
CSA, HCA, FOUR = {"compress_ratios": [4]}, {"compress_ratios": [128], "sliding_window": 512}, {"hc_mult": 4}
EXPERTS = {"num_experts_per_tok": 2}


def model(features="", config=(), tokens=48, experts=1, dense="bf16", expert="bf16", **more):
    """Settings of one model; `features` are the mechanisms that are not neutral."""
    counts = experts if isinstance(experts, list) else [experts]
    return {"on": set(features.split()), "config": dict(config), "tokens": tokens, "experts": counts, "dense": dense, "expert": expert,
            "mtp": False, **more}


MODELS = {
    "plain": model(),
    "norm_eps": model("small"),
    "groups": model(config={"o_groups": 2}),
    "window": model(config={"sliding_window": 16}),
    "sink": model("sink"),
    "rope": model("score_rope"),
    "inverse_rope": model("value_rope"),
    "plain_theta": model("score_rope value_rope", {"rope_scaling": YARN, "compress_rope_theta": 160000}),
    "far": model("score_rope", {"hidden_size": 16, "num_attention_heads": 1, "head_dim": 16, "q_lora_rank": 16, "sliding_window": 16},
                 tokens=66000, moe_intermediate_size=2),
    "hca": model(config=HCA, tokens=400),
    "hca_ape": model("ape", HCA, tokens=300),
    "csa": model(config=CSA),
    "csa_ape": model("ape", CSA),
    "overlap": model("overlap", CSA),
    "row_position": model("score_rope", CSA),
    "compressed_theta": model("score_rope", {**CSA, "compress_rope_theta": 160000}),
    "yarn": model("score_rope", {**CSA, "rope_scaling": YARN}),
    "indexer": model(config={**CSA, "index_topk": 4}, tokens=64),
    "indexer_rope": model("index_rope", {**CSA, "index_topk": 4}, tokens=64),
    "router": model("experts", EXPERTS, experts=4),
    "router_bias": model("experts bias", EXPERTS, experts=4),
    "route_scale": model("experts", {**EXPERTS, "routed_scaling_factor": 2.5}, experts=4),
    "hash_routing": model("experts", {**EXPERTS, "num_hash_layers": 1}, experts=4),
    "hash_duplicates": model("experts duplicates", {"num_experts_per_tok": 3, "num_hash_layers": 1}, experts=4),
    "expert_order": model("experts", {"num_experts_per_tok": 3}, experts=12),
    "routed_clamp": model("experts", {**EXPERTS, "swiglu_limit": 4.0}, experts=4),
    "shared_expert": model("shared", {"moe_intermediate_size": 12}),
    "shared_clamp": model("shared", {"moe_intermediate_size": 12, "swiglu_limit": 4.0}),
    "mhc_mix": model("shared mix", FOUR),
    "mhc_sinkhorn": model("shared streams symmetric"),
    "mhc_orientation": model("shared streams head_mix circulant", FOUR),
    "head_mix": model("shared streams head_mix"),
    "fp8_weights": model("scales", {"hidden_size": 144, "head_dim": 72, "q_lora_rank": 24}, dense="fp8"),
    "fp4_weights": model("experts scales", {"hidden_size": 64, **EXPERTS, "moe_intermediate_size": 64}, experts=2, expert="fp4"),
    "kv_rounding": model("score_rope value_rope", {"head_dim": 136}, sets=("reference",)),
    "activation_rounding": model("shared", {"hidden_size": 64, "moe_intermediate_size": 32}, dense="fp8", sets=("reference",)),
    "expert_rounding": model("experts", {**EXPERTS, "hidden_size": 64, "moe_intermediate_size": 32}, experts=3, expert="fp4",
                             sets=("reference",)),
    "index_rounding": model("index_rope", {**CSA, "index_topk": 4, "index_head_dim": 64}, tokens=160, sets=("reference",)),
    "draft": model("shared mix comb head_mix own_heads", {"vocab_size": 8, "compress_ratios": [0, 0], "num_nextn_predict_layers": 1},
                   tokens=24, experts=[1, 1], mtp=True, rounds=32),
    "whole": model("sink score_rope value_rope overlap ape index_rope experts bias duplicates shared mix comb head_mix",
                   {**EXPERTS, "hidden_size": 40, "num_hidden_layers": 3, "compress_ratios": [0, 4, 128, 0], "o_groups": 2,
                    "sliding_window": 16, "index_topk": 8, "num_hash_layers": 1, "num_nextn_predict_layers": 1, "hc_sinkhorn_iters": 7,
                    "compress_rope_theta": 160000, "rope_scaling": YARN, "routed_scaling_factor": 1.5, "swiglu_limit": 6.0},
                   tokens=300, experts=[4, 4, 5, 4], dense="fp8", expert="fp4", mtp=True),
}


class MicroBuilder(Builder):
    """Builds a random checkpoint, then makes everything neutral that is not switched on."""

    def __init__(self, name):
        self.model = MODELS[name]
        self.on = self.model["on"]
        quantised = {"quantization_config": FP8, "expert_dtype": "fp4"} if "fp" in self.model["dense"] + self.model["expert"] else {}
        self.c = dict(sorted({**BASE, **quantised, **NEUTRAL, **self.model["config"]}.items()))
        self.maker = Maker(7000 + list(MODELS).index(name))
        self.tensors = {}

    def matrix(self, name, rows, cols, gain, kind):
        """As Builder's, with a different magnitude per scale block where the scales are what the model is about."""
        if "scales" not in self.on or kind == "bf16":
            return super().matrix(name, rows, cols, gain, kind)
        w = self.maker.normal(rows, cols, std=gain * cols**-0.5)
        block_rows, block_cols = (128, 128) if kind == "fp8" else (1, 32)
        steps = self.maker.integers(4, -(-rows // block_rows), -(-cols // block_cols)).float() - 2
        w = w * torch.exp2(steps).repeat_interleave(block_rows, 0).repeat_interleave(block_cols, 1)[:rows, :cols]
        if name.endswith("attn.wq_b"):
            w[self.c["head_dim"]:] *= 2.0**-11  # subnormal codes; the norm of each head brings them back
        for suffix, stored in stored_matrix(kind, w)[1].items():
            self.tensors[f"{name}.{suffix}"] = stored
        return None

    def zero(self, name, rows=slice(None), cols=slice(None)):
        """Code 0 is the number 0 in every format."""
        self.tensors[name].data[rows, cols] = 0

    def build(self):
        super().build()
        self.tensors["norm.weight"] = st.stored_bf16(torch.ones(self.c["hidden_size"]))
        if "small" in self.on:
            self.tensors["embed.weight"] = st.stored_bf16(2.0**-9 * self.maker.bf16(self.c["vocab_size"], self.c["hidden_size"]))
        prefixes = [f"layers.{i}." for i in range(self.c["num_hidden_layers"])] + (["mtp.0."] if self.model["mtp"] else [])
        for prefix, ratio in zip(prefixes, self.c["compress_ratios"]):
            self.quiet_attention(prefix + "attn.", ratio)
            self.quiet_experts(prefix + "ffn.")
            for part in ("attn", "ffn"):
                self.quiet_streams(f"{prefix}hc_{part}_")
        if "head_mix" not in self.on:
            self.zero("hc_head_fn")
            self.tensors["hc_head_base"].data[:] = 0
        if "own_heads" in self.on:  # guesses show only large differences: let the two heads read different streams
            self.tensors["hc_head_base"].data[:] = [3, -3]
            self.tensors["mtp.0.hc_head_base"].data[:] = [-3, 3]
        return self.tensors

    def quiet_attention(self, prefix, ratio):
        c, rope = self.c, self.c["qk_rope_head_dim"]
        heads, dim = c["num_attention_heads"], c["head_dim"]
        if "sink" not in self.on:
            self.tensors[prefix + "attn_sink"].data[:] = -10000
        for head in range(heads):
            if "score_rope" not in self.on:
                self.zero(prefix + "wq_b.weight", slice((head + 1) * dim - rope, (head + 1) * dim))
            if "value_rope" not in self.on:
                last = (head % (heads // c["o_groups"]) + 1) * dim
                self.zero(prefix + "wo_a.weight", cols=slice(last - rope, last))
        if ratio:
            self.quiet_compressor(prefix + "compressor.", ratio, dim)
        if ratio == 4:
            self.quiet_compressor(prefix + "indexer.compressor.", ratio, c["index_head_dim"])
            for head in range(c["index_n_heads"]):
                if "index_rope" not in self.on:
                    self.zero(prefix + "indexer.wq_b.weight", slice((head + 1) * c["index_head_dim"] - rope, (head + 1) * c["index_head_dim"]))

    def quiet_compressor(self, prefix, ratio, dim):
        if "ape" not in self.on:
            self.zero(prefix + "ape")
        if ratio == 4 and "overlap" not in self.on:
            self.tensors[prefix + "ape"].data[:, :dim] = -10000  # tokens of the previous block get weight 0

    def quiet_experts(self, prefix):
        for name in [key for key in self.tensors if key.startswith(prefix) and key.endswith("w2.weight")]:
            if ("shared" if "shared_experts" in name else "experts") not in self.on:
                self.zero(name)
        if "bias" not in self.on and prefix + "gate.bias" in self.tensors:
            self.tensors[prefix + "gate.bias"].data[:] = 0
        table = self.tensors.get(prefix + "gate.tid2eid")
        if table is not None and "duplicates" not in self.on:
            same = table.data[:, 0] == table.data[:, 1]
            table.data[same, 1] = (table.data[same, 1] + 1) % self.model["experts"][0]

    def quiet_streams(self, prefix):
        n = self.c["hc_mult"]
        fn, base = self.tensors[prefix + "fn"].data, self.tensors[prefix + "base"].data
        comb = base[2 * n:].reshape(n, n)
        if "comb" not in self.on:
            fn[2 * n:] = 0
            comb[:] = 40 * np.eye(n)  # the identity after softmax
        if "symmetric" in self.on:
            comb[:] = [[0.6, -0.2], [0.0, 1.0]]  # far from doubly stochastic; any 2x2 limit is symmetric
        if "circulant" in self.on:
            comb[:] = np.stack([np.roll([1.0, -1.0, 0.5, 2.0], i) for i in range(n)])  # doubly stochastic at once, not symmetric
        if "mix" not in self.on:
            fn[:2 * n] = 0
            base[:2 * n] = 0
            if "streams" in self.on:
                base[n:2 * n] = np.linspace(-2, 1, n)
        if {"symmetric", "circulant"} & self.on:
            base[:n] = np.linspace(1, -2, n)


PERIOD = 997  # longer texts repeat their first tokens, so that only these are stored


def tokens_of(name, seed):
    """Token ids of a model's golden run."""
    settings = MODELS[name]
    total = settings["tokens"]
    vocab = settings["config"].get("vocab_size", NEUTRAL["vocab_size"])
    period = torch.randint(vocab, (min(total, PERIOD),), generator=torch.Generator().manual_seed(seed))
    return period.repeat(-(-total // len(period)))[:total]
