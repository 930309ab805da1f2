"""Writes sensitivity.json: how far each deliberate fault moves the golden logits of each model.

Faults are measured in the f32 precision; those that change nothing without rounding points, in the strict one.
"""
import dataclasses
import json
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import checkpoints  # noqa: E402
from make_models import run  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402
from reference.model import Model  # noqa: E402

FAULTS = {
    "window_minus_1": "window one row too short", "no_sink": "attention sinks ignored", "no_csa": "ratio-4 layers read raw rows only",
    "no_hca": "ratio-128 layers read raw rows only", "no_ape": "ape not added", "ape_shifted": "ape row of the next position",
    "comp_rope_last": "compressed rows rotated at the block's last token", "no_overlap": "previous block not read",
    "overlap_swapped": "overlap halves exchanged", "no_inverse_rope": "attention output not rotated back",
    "no_q_norm": "query heads not normalised", "visible_off_by_one": "block completed by the token not visible to it",
    "index_no_relu": "indexer without ReLU", "index_first_rows": "first rows instead of the best", "hc_transposed": "comb transposed",
    "sinkhorn_1": "one Sinkhorn iteration", "no_routed_clamp": "routed experts unclamped", "no_shared_clamp": "shared expert unclamped",
    "bias_in_weights": "router bias added to the weights", "no_bias": "router bias ignored", "no_sqrt": "softplus without the root",
    "route_weight_after_w2": "route weight applied after w2", "no_hadamard": "indexer without Hadamard",
}
CONFIG_FAULTS = {
    "no_yarn": ("compressed layers without YaRN", {"rope_scaling": None}),
    "one_theta": ("rope_theta in compressed layers", {"compress_rope_theta": 10000}),
    "topk_minus_1": ("one row fewer selected", "index_topk"), "no_route_scale": ("routed_scaling_factor 1", {"routed_scaling_factor": 1.0}),
}
# These change nothing without rounding points, so only the strict precision can notice them.
STRICT_ONLY = {"route_weight_after_w2", "no_hadamard", "kv_unrounded", "index_unrounded"}
OTHER_FAULTS = ["mtp_unshifted", "kv_unrounded", "index_unrounded"]


def largest(got, want):
    """max|got - want| / max|want| and the median over positions of the same."""
    difference = (got.double() - want.double()).abs().amax(1) / want.double().abs().max()
    return {"max": round(float(difference.max()), 7), "median": round(float(difference.median()), 7)}


def applies(fault, config):
    """Whether a model of this configuration has the mechanism at all."""
    kinds = set(config.compress_ratios[:config.num_hidden_layers])
    if fault in ("bias_in_weights", "no_bias"):
        return config.num_hash_layers < config.num_hidden_layers
    if fault in ("no_csa", "no_overlap", "overlap_swapped", "index_no_relu", "index_first_rows", "no_hadamard", "index_unrounded", "topk_minus_1"):
        return 4 in kinds
    if fault in ("no_ape", "ape_shifted", "comp_rope_last", "visible_off_by_one", "no_yarn", "one_theta"):
        return kinds != {0}
    return fault != "no_hca" or 128 in kinds


def measure(name):
    """All faults on one model, at its golden positions."""
    directory = os.path.join(HERE, "vectors", "models", name)
    golden = st.read(os.path.join(directory, "golden.safetensors"))
    model = Model.open(directory)
    clean = model.config
    with open(os.path.join(directory, "tokens.json")) as file:
        tokens = torch.tensor(json.load(file))
    positions = torch.from_numpy(golden["positions"].data.copy())
    result = {}
    for fault in list(FAULTS) + list(CONFIG_FAULTS) + OTHER_FAULTS:
        part = "mtp_logits" if fault == "mtp_unshifted" else "logits"
        if f"f32/{part}" not in golden or not applies(fault, clean):
            continue
        change = CONFIG_FAULTS.get(fault, ("", {}))[1]
        change = {change: getattr(clean, change) - 1} if isinstance(change, str) else change
        model.config = dataclasses.replace(clean, **change)
        faults = () if fault in CONFIG_FAULTS else (fault,)
        kv, index = "bf16" if fault == "kv_unrounded" else "fp8", "bf16" if fault == "index_unrounded" else "fp4"
        label, precision = ("reference_kv_fp8", "reference") if fault in STRICT_ONLY else ("f32", "f32")
        got = run(model, Arith(precision, kv, index, faults), tokens, positions)[part]
        result[fault] = {"precision": precision, **largest(got, torch.from_numpy(golden[f"{label}/{part}"].data.copy()))}
        print(f"{name:8} {fault:22} {precision:9} max {result[fault]['max']:.5f} median {result[fault]['median']:.5f}", flush=True)
    return result


def main():
    path = os.path.join(HERE, "sensitivity.json")
    result = {}
    if sys.argv[1:] and os.path.exists(path):
        with open(path) as file:
            result = json.load(file)
    for name in sys.argv[1:] or checkpoints.MODELS:
        result[name] = measure(name)
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
