"""config.json of the official layout: the keys the forward pass needs, with the defaults the format allows."""
import json
import os
from dataclasses import dataclass


@dataclass
class Config:
    """Sizes and constants of one checkpoint; names as in config.json."""
    num_hidden_layers: int
    hidden_size: int
    vocab_size: int
    num_attention_heads: int
    head_dim: int
    qk_rope_head_dim: int
    q_lora_rank: int
    o_groups: int
    o_lora_rank: int
    sliding_window: int
    compress_ratios: list
    index_n_heads: int
    index_head_dim: int
    index_topk: int
    rope_theta: float
    compress_rope_theta: float
    rope_scaling: dict
    rms_norm_eps: float
    num_experts_per_tok: int
    moe_intermediate_size: int
    num_hash_layers: int
    norm_topk_prob: bool
    routed_scaling_factor: float
    swiglu_limit: float
    hc_mult: int
    hc_sinkhorn_iters: int
    hc_eps: float
    dspark_block_size: int
    dspark_noise_token_id: int
    dspark_target_layer_ids: list


DEFAULTS = {"rms_norm_eps": 1e-6, "norm_topk_prob": True, "hc_eps": 1e-6, "rope_scaling": None, "dspark_block_size": 0,
            "dspark_noise_token_id": 0, "dspark_target_layer_ids": ()}


def from_dict(values):
    """Config from parsed config.json; extra keys are ignored, missing ones without a default are an error."""
    if values.get("scoring_func", "sqrtsoftplus") != "sqrtsoftplus":
        raise ValueError("only scoring_func sqrtsoftplus is implemented")
    known = {}
    for key in Config.__dataclass_fields__:
        if key in values:
            known[key] = values[key]
        elif key in DEFAULTS:
            known[key] = DEFAULTS[key]
        else:
            raise KeyError(f"config.json: missing key {key}")
    return Config(**known)


def load(directory):
    """Config of a checkpoint directory."""
    with open(os.path.join(directory, "config.json")) as file:
        return from_dict(json.load(file))
