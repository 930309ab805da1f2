"""Writes vectors/models/NAME: random-weight checkpoints, tokens, golden logits and what an exact engine may differ by."""
import json
import os
import shutil
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import checkpoints  # noqa: E402
from noise import Float32Sums, Jitter  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402
from reference.model import Model, mtp_positions  # noqa: E402

# Set name -> (precision, kv, index)
SETS = {"reference_kv_fp8": ("reference", "fp8", "fp4"), "reference_kv_bf16": ("reference", "bf16", "fp4"),
        "reference_kv_bf16_index_bf16": ("reference", "bf16", "bf16"), "f32": ("f32", "fp8", "fp4")}
TOKEN_SEEDS = 6
BLOCK = 512


def golden_positions(total, window):
    """First tokens, both sides of window, block and power-of-two boundaries, last tokens."""
    wanted = set(range(10)) | {window - 2, window - 1, window, window + 1, window + 2} | set(range(total - 8, total))
    for edge in (32, 64, 128, 256, 512, 1024):
        wanted |= {edge - 1, edge, edge + 1}
    return torch.tensor(sorted(p for p in wanted if 0 <= p < total))


def run(model, arith, tokens, positions):
    """Logits of the positions by output name: `logits` and, where the checkpoint has the block, `mtp_logits`."""
    with torch.no_grad():
        logits, mtp = model.logits(arith, tokens, positions, BLOCK, with_mtp=model.has_mtp())
    return {"logits": logits} if mtp is None else {"logits": logits, "mtp_logits": mtp}


def relative(got, want):
    """max|got - want| per position over max|want| of all positions."""
    return (got.double() - want.double()).abs().amax(1) / want.double().abs().max()


def choose_tokens(name, model):
    """Token seed whose f32 run keeps the largest distance from any selection tie, and that distance."""
    best = (-1.0, None)
    for seed in range(1, TOKEN_SEEDS + 1):
        tokens = checkpoints.tokens_of(name, seed)
        margins = {}
        with torch.no_grad():
            model.states(Arith("f32"), tokens, BLOCK, margins)
        # A gap of exactly zero is a tie of rows that every head rejects; it is resolved by index, not by rounding.
        gaps = torch.cat([torch.ones(1)] + margins.get("index_gaps", []) + margins.get("route_gaps", []))
        best = max(best, (float(gaps[gaps > 0].min()), seed))
    return best[1], best[0]


def make(name, directory):
    """One model: returns its summary."""
    if os.path.isdir(directory):
        shutil.rmtree(directory)
    checkpoints.write_checkpoint(directory, name, checkpoints.Builder(name).build())
    model = Model.open(directory)
    seed, gap = choose_tokens(name, model)
    tokens = checkpoints.tokens_of(name, seed)
    positions = golden_positions(len(tokens), model.config.sliding_window)
    out = {"positions": st.Stored("I64", positions.numpy())}
    if model.has_mtp():
        out["mtp_positions"] = st.Stored("I64", mtp_positions(positions, len(tokens)).numpy())
    summary = {"format": 1, "name": name, "weight_seed": 1000 * checkpoints.MODELS[name]["seed"], "token_seed": seed,
               "smallest_selection_gap_f32": gap, "sets": {}}
    for label, settings in SETS.items():
        want = run(model, Arith(*settings), tokens, positions)
        variants = [Float32Sums(*settings)]
        if settings[0] == "reference":
            variants += [Jitter(1, *settings), Jitter(2, *settings)]
        others = [run(model, variant, tokens, positions) for variant in variants]
        entry = summary["sets"][label] = {"precision": settings[0], "kv": settings[1], "index": settings[2],
                                          "max_abs_logit": float(want["logits"].abs().max())}
        for part, values in want.items():
            noise = torch.stack([relative(other[part], values) for other in others]).amax(0).float()
            prefix = part[:-len("logits")]  # "" or "mtp_"
            out[f"{label}/{part}"], out[f"{label}/{prefix}noise"] = st.stored_f32(values.float()), st.stored_f32(noise)
            entry[prefix + "noise_max"], entry[prefix + "noise_median"] = float(noise.max()), float(noise.median())
    st.write(os.path.join(directory, "golden.safetensors"), out)
    with open(os.path.join(directory, "tokens.json"), "w") as file:
        json.dump(tokens.tolist(), file, separators=(",", ":"))
        file.write("\n")
    with open(os.path.join(directory, "golden.json"), "w") as file:
        json.dump(summary, file, indent=1)
        file.write("\n")
    return summary


def main():
    total = 0
    for name in sys.argv[1:] or checkpoints.MODELS:
        directory = os.path.join(HERE, "vectors", "models", name)
        summary = make(name, directory)
        size = sum(os.path.getsize(os.path.join(directory, file)) for file in os.listdir(directory))
        total += size
        print(f"{name}: {size} bytes, token seed {summary['token_seed']}, gap {summary['smallest_selection_gap_f32']:.1e}")
        for label, values in summary["sets"].items():
            print(f"  {label:30} noise median {values['noise_median']:.1e} max {values['noise_max']:.1e}", flush=True)
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
