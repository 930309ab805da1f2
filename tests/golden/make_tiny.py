"""Golden logits of checkpoints/tiny, made by the PyTorch reference for the sequences of make_tiny_prompts.py.

    /usr/bin/python3 make_tiny.py [CASE...]     (in tests/golden; without names, every case)

vectors/tiny/CASE.safetensors holds, for the positions that cases.json names, `logits` (precision reference, KV FP8,
indexer FP4) and `logits_f32` (no rounding point at all), F32 [positions, vocab], and `positions` I64.
It prints whether the model's greedy answer is the right one and how far the two precisions are apart.
"""

import argparse
import json
import os
import time

import torch

from reference import safetensors_io as st
from reference.arith import Arith
from reference.model import Model

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKPOINT = os.path.join(HERE, "..", "..", "checkpoints", "tiny")
FOLDER = os.path.join(HERE, "vectors", "tiny")
QUERY_BLOCK = 256  # bounds memory of the long cases; the result does not depend on it


def run(model, case, tokens, precision):
    """Logits [positions, vocab], and whether every kept answer position ranks the right next token first."""
    positions = torch.tensor(case["positions"])
    logits, _ = model.logits(Arith(precision), tokens, positions, QUERY_BLOCK)
    answer = [i for i, p in enumerate(case["positions"]) if case["answer_begin"] - 1 <= p < case["length"] - 1]
    predicted = logits[answer].argmax(-1)
    return logits, bool((predicted == tokens[positions[answer] + 1]).all()), len(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CASE")
    options = parser.parse_args()
    with open(os.path.join(FOLDER, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)
    unknown = set(options.names) - {case["name"] for case in cases}
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; cases.json has {', '.join(c['name'] for c in cases)}")
    model = Model.open(CHECKPOINT)
    for case in cases:
        if options.names and case["name"] not in options.names:
            continue
        with open(os.path.join(FOLDER, f"{case['name']}.tokens.json"), encoding="ascii") as file:
            tokens = torch.tensor(json.load(file))
        start, results = time.monotonic(), {}
        with torch.no_grad():
            for precision in ("reference", "f32"):
                results[precision], right, n = run(model, case, tokens, precision)
                verdict = "right" if right else "WRONG"
                print(f"{case['name']} {precision}: {n} answer tokens {verdict}, {time.monotonic() - start:.0f} s", flush=True)
        both = results["reference"].double(), results["f32"].double()
        apart = (both[0] - both[1]).abs().max()
        print(f"{case['name']}: precisions {apart:.3g} apart, largest logit {both[1].abs().max():.3g}", flush=True)
        st.write(
            os.path.join(FOLDER, f"{case['name']}.safetensors"),
            {
                "logits": st.stored_f32(results["reference"].float()),
                "logits_f32": st.stored_f32(results["f32"].float()),
                "positions": st.Stored("I64", torch.tensor(case["positions"]).numpy()),
            },
        )


if __name__ == "__main__":
    main()
