"""Compares an exported checkpoint with the master weights and, through the training prototype, by its answers.

    python3 checkpoints/compare_masters.py --masters DIR --checkpoint checkpoints/tiny [--answers N] [--golden]

The prototype's own rounding functions and inference (infer.py, gen.py, tok.py in DIR; PyTorch) are the judge: every
dequantised tensor must equal its rounding of the masters bit for bit, N generated tasks of each kind are answered
with the exported weights, and its logits are held against the golden ones, which another program made. Nothing of
this runs the project's engine.
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
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "vectors", "tiny")
GOLDEN_LONGEST = 2049  # the prototype's float32 CPU path takes minutes beyond
GOLDEN_TOLERANCE = 1e-4  # of the largest logit; the prototype computes in float32, the golden logits in float64


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
    """Prints, per task, the whole answers that are right (teacher-forced) and how often the MTP block agrees.

    Index top-k as configured, no quantisation of activations or KV at run time.
    """
    draw = random.Random(seed)
    pool = gen.fill_pool(draw, tokenizer, 3000)
    encode = lambda task: gen.enc_sample(tokenizer, task)
    needle = lambda length: [gen.needle(draw, length, tokenizer, pool, 4, 1) for _ in range(n)]
    kinds = {
        **{f"needle {length}": lambda length=length: needle(length) for length in NEEDLE_LENGTHS},
        "tool call": lambda: [encode(gen.toolcall(draw)) for _ in range(n)],
        "arithmetic": lambda: [encode(gen.arith(draw)) for _ in range(n)],
        "a+-b": lambda: [encode(gen.plus(draw)) for _ in range(n)],
        "review": lambda: [encode(gen.review(draw)[0]) for _ in range(n)],
        "chat": lambda: [encode(gen.smoke(draw, i)) for i in range(len(gen.SMOKE))],
    }
    engine = infer.Inf(model)
    for kind, make in kinds.items():
        cases = make()
        _, agreement, right = engine.em(cases)
        print(f"{kind:12} {sum(right)}/{len(cases)} right; MTP agrees on {agreement:.3f} of answer tokens", flush=True)


def compare_golden(model, infer, torch):
    """Prints the distance from the unrounded golden logits; returns how many cases exceed GOLDEN_TOLERANCE."""
    failed = 0
    with open(os.path.join(GOLDEN, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        if case["length"] > GOLDEN_LONGEST:
            continue
        with open(os.path.join(GOLDEN, case["name"], "tokens.json"), encoding="ascii") as file:
            ids = torch.tensor(json.load(file) + [0])  # the last one is only the MTP block's next token
        golden, _ = safetensors_io.read(os.path.join(GOLDEN, case["name"], "golden.safetensors"))
        parts = dict(zip(("", "mtp_"), infer.Inf(model).run(ids, len(ids) - 1)))
        for prefix, logits in parts.items():
            if f"f32/{prefix}logits" in golden:
                want = golden[f"f32/{prefix}logits"][1]
                got = logits[torch.from_numpy(golden[f"{prefix}positions"][1].copy())].numpy()
                distance = np.abs(got - want).max() / np.abs(want).max()
                failed += distance > GOLDEN_TOLERANCE
                print(f"{case['name']:14} {prefix}logits {distance:.1e} of the largest from the golden ones", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masters", required=True, metavar="DIR")
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--answers", type=int, default=0, metavar="N", help="tasks of each kind; 0: bits only")
    parser.add_argument("--seed", type=int, default=20001)
    parser.add_argument("--golden", action="store_true", help="also compare with tests/golden/vectors/tiny")
    options = parser.parse_args()

    masters, _ = export.read_masters(options.masters)
    stored = safetensors_io.read_checkpoint(options.checkpoint)
    with open(os.path.join(options.checkpoint, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    torch, infer, gen, tok = import_prototype(options.masters)
    failed = compare_bits(config, stored, masters, torch, infer)
    model = exported_model(config, stored, masters, infer)
    if options.golden:
        failed += compare_golden(model, infer, torch)
    if options.answers:
        tokenizer = tok.Tok.load(os.path.join(options.masters, "tok.json"))
        answers(model, infer, gen, tokenizer, options.answers, options.seed)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
