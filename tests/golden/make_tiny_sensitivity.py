"""Writes vectors/tiny/sensitivity.json: how far each deliberate fault moves the golden logits of checkpoints/tiny.

    python3 make_tiny_sensitivity.py [--device cuda] [CASE...]

Per case, fault and precision: max|difference| / max|logit| over the kept positions, and how many answer tokens stay
right. It shows which broken mechanism the answers notice and which only the logits do.
"""

import argparse
import dataclasses
import json
import os

import torch

import make_tiny
from make_models import relative
from make_sensitivity import CONFIG_FAULTS, FAULTS
from reference import safetensors_io as st
from reference.arith import Arith


def measure(model, case, tokens):
    """dict fault -> set label -> {moved, answer_right} of one case."""
    clean, result = model.config, {}
    golden = st.read(os.path.join(make_tiny.FOLDER, case["name"], "golden.safetensors"))
    for fault in [*FAULTS, *CONFIG_FAULTS]:
        change = CONFIG_FAULTS.get(fault, ("", {}))[1]
        change = {change: getattr(clean, change) - 1} if isinstance(change, str) else change
        model.config = dataclasses.replace(clean, **change)
        result[fault] = {}
        for label, settings in make_tiny.SETS.items():
            arith = Arith(*settings, faults=() if fault in CONFIG_FAULTS else (fault,))
            logits, _ = make_tiny.run(model, arith, case, tokens)
            want = torch.from_numpy(golden[f"{label}/logits"].data.copy())
            right, _ = make_tiny.answered(case, tokens, logits)
            result[fault][label] = {"moved": round(float(relative(logits.cpu(), want).max()), 7), "answer_right": right}
    model.config = clean
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CASE")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    model = make_tiny.open_model(options.device)
    result = {}
    for case, tokens in make_tiny.read_cases(options.names):
        result[case["name"]] = measure(model, case, tokens)
        for fault, sets in result[case["name"]].items():
            figures = "  ".join(f"{label} {v['moved']:.5f} answer {v['answer_right']}" for label, v in sets.items())
            print(f"{case['name']:14} {fault:22} {figures}", flush=True)
        with open(os.path.join(make_tiny.FOLDER, "sensitivity.json"), "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
