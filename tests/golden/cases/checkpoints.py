"""Random-weight checkpoints in the official layout, scaled so that every mechanism of the model changes the logits."""
import json
import os

import numpy as np
import torch

from reference import safetensors_io as st

from .book import Maker, stored_matrix

BASE = {
    "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 0, "eos_token_id": 1, "compress_rope_theta": 160000, "hc_eps": 1e-6, "hc_mult": 4, "hc_sinkhorn_iters": 20,
    "hidden_act": "silu", "max_position_embeddings": 1048576, "n_shared_experts": 1, "norm_topk_prob": True,
    "num_key_value_heads": 1, "num_nextn_predict_layers": 1, "rms_norm_eps": 1e-6, "rope_theta": 10000,
    "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 16, "original_max_position_embeddings": 65536, "type": "yarn"},
    "routed_scaling_factor": 1.5, "scoring_func": "sqrtsoftplus", "swiglu_limit": 10.0, "tie_word_embeddings": False,
    "topk_method": "noaux_tc", "torch_dtype": "bfloat16",
}
FP8 = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}

# The settings of each model that differ from the real configuration. `experts` is the expert count of each layer (the
# MTP block last, where there is one); `dense` and `expert` are the storage kinds of projections and routed experts.
MODELS = {
    "odd": {
        "seed": 1, "tokens": 1150, "dense": "fp8", "expert": "fp4", "shards": 1, "experts": [7, 7, 7, 7, 5, 6],
        "config": {"hidden_size": 72, "vocab_size": 97, "num_hidden_layers": 5, "num_attention_heads": 4, "head_dim": 40,
                   "qk_rope_head_dim": 8, "q_lora_rank": 36, "o_groups": 2, "o_lora_rank": 20, "sliding_window": 24,
                   "compress_ratios": [0, 4, 128, 4, 128, 0], "index_n_heads": 3, "index_head_dim": 16, "index_topk": 8,
                   "n_routed_experts": 7, "num_experts_per_tok": 3, "moe_intermediate_size": 44, "num_hash_layers": 3}},
    "wide": {
        "seed": 2, "tokens": 1030, "dense": "fp8", "expert": "fp4", "shards": 1, "experts": [5, 5, 5, 5],
        "config": {"hidden_size": 40, "vocab_size": 61, "num_hidden_layers": 3, "num_attention_heads": 2, "head_dim": 512,
                   "qk_rope_head_dim": 64, "q_lora_rank": 64, "o_groups": 2, "o_lora_rank": 32, "sliding_window": 128,
                   "compress_ratios": [0, 4, 128], "index_n_heads": 2, "index_head_dim": 128, "index_topk": 16,
                   "n_routed_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "num_hash_layers": 1}},
    "bf16": {
        "seed": 3, "tokens": 600, "dense": "bf16", "expert": "bf16", "shards": 1, "experts": [4, 4, 6, 4, 4],
        "config": {"hidden_size": 50, "vocab_size": 71, "num_hidden_layers": 4, "num_attention_heads": 3, "head_dim": 28,
                   "qk_rope_head_dim": 4, "q_lora_rank": 22, "o_groups": 3, "o_lora_rank": 14, "sliding_window": 33,
                   "compress_ratios": [128, 4, 0, 4, 0], "index_n_heads": 5, "index_head_dim": 32, "index_topk": 11,
                   "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 30, "num_hash_layers": 1,
                   "swiglu_limit": 7.0}},
    "sharded": {
        "seed": 4, "tokens": 700, "dense": "fp8", "expert": "fp4", "shards": 3, "experts": [6, 9, 4, 10, 4],
        "config": {"hidden_size": 136, "vocab_size": 53, "num_hidden_layers": 4, "num_attention_heads": 6, "head_dim": 72,
                   "qk_rope_head_dim": 16, "q_lora_rank": 48, "o_groups": 3, "o_lora_rank": 26, "sliding_window": 40,
                   "compress_ratios": [4, 128, 0, 4, 0, 0, 0], "index_n_heads": 4, "index_head_dim": 64, "index_topk": 20,
                   "n_routed_experts": 6, "num_experts_per_tok": 4, "moe_intermediate_size": 28, "num_hash_layers": 2,
                   "hc_mult": 2, "hc_sinkhorn_iters": 7, "routed_scaling_factor": 2.5}},
    "one_swa": {
        "seed": 5, "tokens": 200, "dense": "fp8", "expert": "fp4", "shards": 1, "mtp": False, "experts": [6],
        "config": {"hidden_size": 72, "vocab_size": 41, "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 40,
                   "qk_rope_head_dim": 8, "q_lora_rank": 36, "o_groups": 2, "o_lora_rank": 20, "sliding_window": 24,
                   "compress_ratios": [0], "index_n_heads": 3, "index_head_dim": 32, "index_topk": 8, "n_routed_experts": 6,
                   "num_experts_per_tok": 3, "moe_intermediate_size": 44, "num_hash_layers": 1, "num_nextn_predict_layers": 0}},
    "one_csa": {
        "seed": 6, "tokens": 600, "dense": "fp8", "expert": "fp4", "shards": 1, "mtp": False, "experts": [6],
        "config": {"hidden_size": 72, "vocab_size": 41, "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 72,
                   "qk_rope_head_dim": 8, "q_lora_rank": 36, "o_groups": 2, "o_lora_rank": 20, "sliding_window": 24,
                   "compress_ratios": [4], "index_n_heads": 3, "index_head_dim": 32, "index_topk": 8, "n_routed_experts": 6,
                   "num_experts_per_tok": 3, "moe_intermediate_size": 44, "num_hash_layers": 0, "num_nextn_predict_layers": 0}},
    "one_hca": {
        "seed": 7, "tokens": 1100, "dense": "fp8", "expert": "fp4", "shards": 1, "mtp": False, "experts": [6],
        "config": {"hidden_size": 72, "vocab_size": 41, "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 72,
                   "qk_rope_head_dim": 8, "q_lora_rank": 36, "o_groups": 2, "o_lora_rank": 20, "sliding_window": 24,
                   "compress_ratios": [128], "index_n_heads": 3, "index_head_dim": 32, "index_topk": 8, "n_routed_experts": 6,
                   "num_experts_per_tok": 3, "moe_intermediate_size": 44, "num_hash_layers": 0, "num_nextn_predict_layers": 0}},
}

# Models with the chained blocks of DSpark instead of mtp.0 (make_drafts.py). `experts` lists the layers, then the blocks.
DRAFT_MODELS = {
    "dspark_odd": {
        "seed": 8, "tokens": 200, "dense": "fp8", "expert": "fp4", "shards": 1, "experts": [5, 4, 4, 5, 4, 6],
        "config": {"hidden_size": 72, "vocab_size": 59, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 40,
                   "qk_rope_head_dim": 8, "q_lora_rank": 36, "o_groups": 2, "o_lora_rank": 20, "sliding_window": 24,
                   "compress_ratios": [0, 4, 128, 0, 0, 0], "index_n_heads": 3, "index_head_dim": 16, "index_topk": 8,
                   "n_routed_experts": 5, "num_experts_per_tok": 3, "moe_intermediate_size": 28, "num_hash_layers": 1,
                   "dspark_block_size": 5, "dspark_markov_rank": 11, "dspark_noise_token_id": 57,
                   "dspark_target_layer_ids": [0, 1, 2]}},
    "dspark_small": {
        "seed": 9, "tokens": 200, "dense": "bf16", "expert": "bf16", "shards": 1, "experts": [4, 4, 4, 4],
        "config": {"hidden_size": 50, "vocab_size": 47, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 28,
                   "qk_rope_head_dim": 4, "q_lora_rank": 22, "o_groups": 3, "o_lora_rank": 14, "sliding_window": 33,
                   "compress_ratios": [4, 0, 0, 0], "index_n_heads": 5, "index_head_dim": 32, "index_topk": 11,
                   "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 30, "num_hash_layers": 0,
                   "hc_mult": 2, "hc_sinkhorn_iters": 7, "swiglu_limit": 7.0, "dspark_block_size": 4,
                   "dspark_markov_rank": 6, "dspark_noise_token_id": 46, "dspark_target_layer_ids": [1, 0]}},
}


def settings_of(name):
    """What a model is made of."""
    return MODELS.get(name) or DRAFT_MODELS[name]


def config_of(name):
    """config.json of a model."""
    model = settings_of(name)
    extra = {"quantization_config": FP8, "expert_dtype": "fp4"} if model["dense"] == "fp8" else {}
    return dict(sorted({**BASE, **extra, **model["config"]}.items()))


class Builder:
    """Tensors of one random checkpoint."""

    def __init__(self, name):
        self.model, self.c = settings_of(name), config_of(name)
        self.maker = Maker(1000 * self.model["seed"])
        self.tensors = {}

    def matrix(self, name, rows, cols, gain, kind):
        """Projection with output size about `gain` for unit inputs."""
        _, tensors = stored_matrix(kind, self.maker.normal(rows, cols, std=gain * cols**-0.5))
        for suffix, stored in tensors.items():
            self.tensors[f"{name}.{suffix}"] = stored

    def f32(self, name, values):
        self.tensors[name] = st.stored_f32(values)

    def norm(self, name, size, level=1.0):
        self.tensors[name] = st.stored_bf16(self.maker.gain(size).mul(level).to(torch.bfloat16).float())

    def hyper_connection(self, prefix, head=False):
        n, d, m = self.c["hc_mult"], self.c["hidden_size"], self.maker
        mixes = n if head else 2 * n + n * n
        self.f32(prefix + "fn", m.normal(mixes, n * d, std=0.8 * (n * d) ** -0.5))
        self.f32(prefix + "base", m.normal(mixes))
        self.f32(prefix + "scale", 0.6 + m.uniform(1 if head else 3))

    def compressor(self, prefix, ratio, dim, level):
        d, width = self.c["hidden_size"], dim * (2 if ratio == 4 else 1)
        self.matrix(prefix + "wkv", width, d, 1.0, "bf16")
        self.matrix(prefix + "wgate", width, d, 1.5, "bf16")
        self.f32(prefix + "ape", self.maker.normal(ratio, width, std=2.0))
        self.norm(prefix + "norm.weight", dim, level)

    def attention(self, prefix, ratio):
        c, dense = self.c, self.model["dense"]
        d, heads, dim, rank = c["hidden_size"], c["num_attention_heads"], c["head_dim"], c["q_lora_rank"]
        groups, low = c["o_groups"], c["o_lora_rank"]
        self.f32(prefix + "attn_sink", 4.0 + self.maker.normal(heads))
        self.norm(prefix + "q_norm.weight", rank)
        self.norm(prefix + "kv_norm.weight", dim, 2.0)
        self.matrix(prefix + "wq_a", rank, d, 1.0, dense)
        self.matrix(prefix + "wq_b", heads * dim, rank, 1.0, dense)
        self.matrix(prefix + "wkv", dim, d, 1.0, dense)
        self.matrix(prefix + "wo_a", groups * low, heads // groups * dim, 1.0, dense)
        self.matrix(prefix + "wo_b", d, groups * low, 0.2, dense)
        if ratio:
            self.compressor(prefix + "compressor.", ratio, dim, 2.0)
        if ratio == 4:
            index_heads, index_dim = c["index_n_heads"], c["index_head_dim"]
            self.matrix(prefix + "indexer.wq_b", index_heads * index_dim, rank, 1.0, dense)
            self.matrix(prefix + "indexer.weights_proj", index_heads, d, 1.0, "bf16")
            self.compressor(prefix + "indexer.compressor.", ratio, index_dim, 1.0)

    def feed_forward(self, prefix, count, hashed):
        c, m = self.c, self.maker
        d, inner, k = c["hidden_size"], c["moe_intermediate_size"], c["num_experts_per_tok"]
        self.matrix(prefix + "gate", count, d, 2.0, "bf16")
        if hashed:
            table = np.stack([torch.randperm(count, generator=m.generator)[:k].numpy() for _ in range(c["vocab_size"])])
            table[3::7, 1] = table[3::7, 0]  # pruned tables may name an expert twice
            self.tensors[prefix + "gate.tid2eid"] = st.Stored("I64", table.astype(np.int64))
        else:
            self.f32(prefix + "gate.bias", m.normal(count, std=0.4))
        names = [(f"{prefix}experts.{e}.", self.model["expert"], 4.0) for e in range(count)]
        for name, kind, level in names + [(prefix + "shared_experts.", self.model["dense"], 4.0)]:
            self.matrix(name + "w1", inner, d, level, kind)
            self.matrix(name + "w3", inner, d, level, kind)
            self.matrix(name + "w2", d, inner, 0.02, kind)

    def block(self, prefix, ratio, count, hashed):
        d = self.c["hidden_size"]
        for part in ("attn", "ffn"):
            self.norm(f"{prefix}{part}_norm.weight", d)
            self.hyper_connection(f"{prefix}hc_{part}_")
        self.attention(prefix + "attn.", ratio)
        self.feed_forward(prefix + "ffn.", count, hashed)

    def build(self):
        """All tensors by name."""
        c, counts = self.c, self.model["experts"]
        d, vocab, layers = c["hidden_size"], c["vocab_size"], c["num_hidden_layers"]
        self.tensors["embed.weight"] = st.stored_bf16(self.maker.bf16(vocab, d))
        for index in range(layers):
            self.block(f"layers.{index}.", c["compress_ratios"][index], counts[index], index < c["num_hash_layers"])
        self.matrix("head", vocab, d, 3.0, "bf16")
        self.norm("norm.weight", d)
        self.hyper_connection("hc_head_", head=True)
        if "dspark_block_size" in c:
            self.dspark(counts[layers:])
        elif self.model.get("mtp", True):
            self.mtp(counts[layers])
        return self.tensors

    def mtp(self, count):
        d = self.c["hidden_size"]
        self.block("mtp.0.", 0, count, False)
        for name in ("e_proj", "h_proj"):
            self.matrix("mtp.0." + name, d, d, 0.7, self.model["dense"])
        for name in ("enorm", "hnorm", "norm"):
            self.norm(f"mtp.0.{name}.weight", d)
        self.hyper_connection("mtp.0.hc_head_", head=True)

    def dspark(self, counts):
        c, d, vocab, rank = self.c, self.c["hidden_size"], self.c["vocab_size"], self.c["dspark_markov_rank"]
        for index, count in enumerate(counts):
            self.block(f"mtp.{index}.", 0, count, False)
        self.matrix("mtp.0.main_proj", d, d * len(c["dspark_target_layer_ids"]), 1.0, self.model["dense"])
        self.norm("mtp.0.main_norm.weight", d)
        last = f"mtp.{len(counts) - 1}."
        self.norm(last + "norm.weight", d)
        self.hyper_connection(last + "hc_head_", head=True)
        self.matrix(last + "markov_head.markov_w1", vocab, rank, rank**0.5, "bf16")
        self.matrix(last + "markov_head.markov_w2", vocab, rank, 1.0, "bf16")
        self.matrix(last + "confidence_head.proj", 1, d + rank, 1.0, "bf16")


DTYPE_ORDER = ["I64", "F32", "BF16", "F8_E8M0", "F8_E4M3", "I8"]


def write_checkpoint(directory, name, tensors):
    """config.json and the safetensors files; inside a file tensors lie in the official order (dtype, then name)."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(config_of(name), file, indent=1)
        file.write("\n")
    ordered = sorted(tensors, key=lambda key: (DTYPE_ORDER.index(tensors[key].dtype), key))
    count = settings_of(name)["shards"]
    if count == 1:
        st.write(os.path.join(directory, "model.safetensors"), {key: tensors[key] for key in ordered})
        return
    mapping = {}
    for shard in range(count):
        file_name = f"model-{shard + 1:05}-of-{count:05}.safetensors"
        keys = [key for key in ordered if shard_of(key, count) == shard]
        st.write(os.path.join(directory, file_name), {key: tensors[key] for key in keys}, {"format": "pt"})
        mapping.update({key: file_name for key in keys})
    total = sum(tensor.data.nbytes for tensor in tensors.values())
    with open(os.path.join(directory, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(mapping.items()))}, file, indent=0)
        file.write("\n")


def shard_of(key, count):
    """Layers are spread over the shards, everything else lies in the last one."""
    return int(key.split(".")[1]) % count if key.startswith("layers.") else count - 1


def tokens_of(name, seed):
    """Token ids of a model's golden run."""
    model = settings_of(name)
    vocab = model["config"]["vocab_size"]
    return torch.randint(vocab, (model["tokens"],), generator=torch.Generator().manual_seed(seed))
