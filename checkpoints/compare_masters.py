"""Compares an exported checkpoint with the master weights and, through the training prototype, by its answers.

    python3 checkpoints/compare_masters.py --masters DIR --checkpoint checkpoints/tiny [--answers N] [--seed S]

The prototype's own rounding functions and inference (infer.py, gen.py, tok.py in DIR; PyTorch) are the judge: every
dequantised tensor must equal its rounding of the masters bit for bit, and N generated tasks of each kind are
answered with the exported weights and, for comparison, with the masters. Nothing of this runs the project's engine.
"""

import argparse
import importlib
import json
import os
import random
import sys

import numpy as np

import export
import layout
import pack
import safetensors_io

NEEDLE_LENGTHS = (512, 1024, 2048)


def decode(tensor, stored):
    """The f32 (or integer) values of one logical tensor from the stored ones."""
    if tensor.kind in ("fp4", "fp8"):
        weight, scale = (stored[entry.name][1] for entry in layout.stored(tensor))
        return (pack.decode_fp4 if tensor.kind == "fp4" else pack.decode_fp8)(weight, scale)
    array = stored[tensor.name][1]
    return pack.from_bf16(array) if tensor.kind == "bf16" else array


def import_prototype(folder):
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    return tuple(importlib.import_module(name) for name in ("torch", "infer", "gen", "tok"))


def compare_bits(config, stored, masters, torch, infer):
    """Prints one line per kind of tensor; returns the number of values that differ in any bit."""
    trained_rounding = {"fp4": infer.fq4, "fp8": infer.fq8w, "bf16": lambda t: t.bfloat16().float()}
    totals, worst = {}, {}
    for tensor in layout.tensors(config):
        source, expert = export.master_name(tensor.name)
        value = masters[source] if expert is None else masters[source][expert]
        ours = decode(tensor, stored)
        if tensor.kind in trained_rounding:
            rounded = trained_rounding[tensor.kind](torch.from_numpy(np.array(value)))
            theirs = rounded.float().numpy()
            same = ours.view(np.uint32) == theirs.view(np.uint32)
            moved = np.abs(theirs - value).max() / np.abs(value).max()
            worst[tensor.kind] = max(worst.get(tensor.kind, 0), moved)
        else:
            same = ours == value
        count, differ = totals.get(tensor.kind, (0, 0))
        totals[tensor.kind] = count + same.size, differ + int((~same).sum())
    for kind, (count, differ) in totals.items():
        print(f"{kind:5} {count:>11,} values, {differ} differ; furthest from the masters {worst.get(kind, 0):.2e} of max")
    return sum(differ for _, differ in totals.values())


def exported_model(config, stored, masters, infer):
    """The prototype's model holding the exported values."""
    torch = infer.torch
    model = infer.Model(dict(infer.CFG))
    state, values = model.state_dict(), {name: np.array(array) for name, array in masters.items()}
    for tensor in layout.tensors(config):
        source, expert = export.master_name(tensor.name)
        target = values[source] if expert is None else values[source][expert]
        target[...] = decode(tensor, stored)
    for name, array in values.items():
        state[name].copy_(torch.from_numpy(array).to(state[name].dtype))
    return model.to(infer.dev).eval()


def answers(model, infer, gen, tokenizer, n, seed):
    """dict task -> (right, n), whole answers, teacher-forced; index top-k as configured, no run-time quantisation."""
    draw = random.Random(seed)
    pool = gen.fill_pool(draw, tokenizer, 3000)
    engine = infer.Inf(model)
    result = {}
    for length in NEEDLE_LENGTHS:
        cases = [gen.needle(draw, length, tokenizer, pool, 4, 1) for _ in range(n)]
        result[f"needle {length}"] = sum(engine.em(cases)[2]), n
    kinds = {
        "tool call": gen.toolcall,
        "arithmetic": gen.arith,
        "a+-b": gen.plus,
        "review": lambda r: gen.review(r)[0],
    }
    for kind, make in kinds.items():
        cases = [gen.enc_sample(tokenizer, make(draw)) for _ in range(n)]
        result[kind] = sum(engine.em(cases)[2]), n
    cases = [gen.enc_sample(tokenizer, gen.smoke(draw, i)) for i in range(len(gen.SMOKE))]
    result["chat"] = sum(engine.em(cases)[2]), len(cases)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masters", required=True, metavar="DIR")
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--answers", type=int, default=0, metavar="N", help="tasks of each kind; 0: bits only")
    parser.add_argument("--seed", type=int, default=20001)
    options = parser.parse_args()

    masters, _ = export.read_masters(options.masters)
    stored = safetensors_io.read_checkpoint(options.checkpoint)
    with open(os.path.join(options.checkpoint, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    torch, infer, gen, tok = import_prototype(options.masters)
    differ = compare_bits(config, stored, masters, torch, infer)
    if options.answers:
        tokenizer = tok.Tok.load(os.path.join(options.masters, "tok.json"))
        models = {
            "exported": exported_model(config, stored, masters, infer),
            "masters": infer.load(os.path.join(options.masters, "masters")),
        }
        for name, model in models.items():
            figures = answers(model, infer, gen, tokenizer, options.answers, options.seed)
            print(name, "; ".join(f"{task} {right}/{n}" for task, (right, n) in figures.items()), flush=True)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
