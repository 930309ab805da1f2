"""Golden logits of checkpoints/tiny, made by the PyTorch reference for the sequences of make_tiny_prompts.py.

    python3 make_tiny.py [--device cuda] [CASE...]     (in tests/golden; without names, every case)

Writes vectors/tiny/CASE/golden.safetensors and golden.json in the format of vectors/models (README.md), for the
positions that vectors/tiny/cases.json names, copies one case to checkpoints/tiny/selftest, and prints whether the greedy answer is the right one. Sums run in
float64 whatever the device, so device and PyTorch release decide at most the last bit of a rounding near a tie.
"""

import argparse
import contextlib
import json
import os
import time

import numpy as np
import torch

from make_models import relative
from noise import Float32Sums, Jitter
from reference import safetensors_io as st
from reference.arith import Arith
from reference.config import load as load_config
from reference.model import Model, mtp_positions
from reference.weights import Weights

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKPOINT = os.path.join(HERE, "..", "..", "checkpoints", "tiny")
FOLDER = os.path.join(HERE, "vectors", "tiny")
SETS = {"reference_kv_fp8": ("reference", "fp8", "fp4"), "f32": ("f32", "fp8", "fp4")}
MTP_CASES = ("short-64", "needle-513")  # enough to check the MTP block; more would only be bytes
SHIPPED = "needle-2049"
QUERY_BLOCK = {"cpu": 256, "cuda": 2048}  # bounds memory of the long cases; the result does not depend on it


class DeviceWeights(Weights):
    """Weights decoded on the CPU and moved to a device."""

    def __init__(self, stored, device):
        super().__init__(stored)
        self.device = device

    def values(self, name):
        with self._on_cpu():
            value = super().values(name)
        return value.to(self.device)

    def linear(self, name):
        with self._on_cpu():
            matrix = super().linear(name)
        matrix.weight = matrix.weight.to(self.device)
        return matrix

    def _on_cpu(self):
        # PyTorch 1.13 knows neither default devices nor this context, and needs none on the CPU.
        return contextlib.nullcontext() if self.device == "cpu" else torch.device("cpu")


def open_model(device):
    """The tiny checkpoint on a device; "cuda" makes it the default device of new tensors."""
    if device != "cpu":
        torch.set_default_device(device)
    return Model(load_config(CHECKPOINT), DeviceWeights(st.read_checkpoint(CHECKPOINT), device))


def read_cases(names):
    """The cases of cases.json, all or those named, each with its token ids."""
    with open(os.path.join(FOLDER, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)
    unknown = set(names) - {case["name"] for case in cases}
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; cases.json has {', '.join(c['name'] for c in cases)}")
    for case in cases:
        if not names or case["name"] in names:
            with open(os.path.join(FOLDER, case["name"], "tokens.json"), encoding="ascii") as file:
                yield case, torch.tensor(json.load(file))


def run(model, arith, case, tokens):
    """(logits, MTP logits or None) at the case's positions."""
    positions, with_mtp = torch.tensor(case["positions"]), case["name"] in MTP_CASES
    with torch.no_grad():
        return model.logits(arith, tokens, positions, QUERY_BLOCK[model.weights.device], with_mtp=with_mtp)


def answered(case, tokens, logits):
    """(answer tokens ranked first, answer tokens among the kept positions), teacher-forced."""
    kept = [i for i, p in enumerate(case["positions"]) if case["answer_begin"] - 1 <= p < case["length"] - 1]
    expected = tokens[torch.tensor([case["positions"][i] + 1 for i in kept])]
    return int((logits[kept].argmax(-1) == expected).sum()), len(kept)


def variants(settings, device):
    """Runs that an exact engine may equal just as well; their distance from the golden logits is the noise."""
    yield Float32Sums(*settings)
    if settings[0] == "reference":
        for seed in (1, 2):
            jitter = Jitter(seed, *settings)
            jitter.generator = torch.Generator(device).manual_seed(seed)
            yield jitter


def make(model, case, tokens, device):
    """Writes one case; returns its summary."""
    positions = torch.tensor(case["positions"])
    out = {"positions": st.Stored("I64", positions.cpu().numpy())}
    summary = {"format": 1, "name": case["name"], "sets": {}}
    for label, settings in SETS.items():
        golden = run(model, Arith(*settings), case, tokens)
        others = [run(model, arith, case, tokens) for arith in variants(settings, device)]
        right, n = answered(case, tokens, golden[0])
        values = {"precision": settings[0], "kv": settings[1], "index": settings[2]}
        values.update(answer_right=right, answer_tokens=n, max_abs_logit=float(golden[0].abs().max()))
        for part, prefix in enumerate(("", "mtp_")):
            if golden[part] is None:
                continue
            noise = torch.stack([relative(other[part], golden[part]) for other in others]).amax(0)
            out[f"{label}/{prefix}logits"] = st.stored_f32(golden[part].float().cpu())
            out[f"{label}/{prefix}noise"] = st.stored_f32(noise.float().cpu())
            values.update({f"{prefix}noise_max": float(noise.max()), f"{prefix}noise_median": float(noise.median())})
        summary["sets"][label] = values
    if case["name"] in MTP_CASES:
        out["mtp_positions"] = st.Stored("I64", mtp_positions(positions, case["length"]).cpu().numpy())
    folder = os.path.join(FOLDER, case["name"])
    st.write(os.path.join(folder, "golden.safetensors"), out)
    with open(os.path.join(folder, "golden.json"), "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=1)
        file.write("\n")
    return summary


def ship():
    """Puts one case beside the weights, for `ds4-sweep selftest --checkpoint`, in the format of the micro-models."""
    with open(os.path.join(FOLDER, "cases.json"), encoding="utf-8") as file:
        case = next(case for case in json.load(file) if case["name"] == SHIPPED)
    with open(os.path.join(FOLDER, SHIPPED, "tokens.json"), encoding="ascii") as file:
        tokens = json.load(file)
    golden = st.read(os.path.join(FOLDER, SHIPPED, "golden.safetensors"))
    out = {"tokens": st.Stored("I32", np.array(tokens, np.int32)), "positions": golden["positions"],
           "answer_begin": st.Stored("I64", np.array([case["answer_begin"]]))}
    for label, settings in SETS.items():
        for part in ("logits", "noise"):
            out[f"{settings[0]}/{part}"] = golden[f"{label}/{part}"]
    folder = os.path.join(CHECKPOINT, "selftest")
    os.makedirs(folder, exist_ok=True)
    st.write(os.path.join(folder, "golden.safetensors"), out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CASE")
    parser.add_argument("--ship", action="store_true", help="only put the present vectors of one case beside the weights")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.ship:
        return ship()
    model = open_model(options.device)
    for case, tokens in read_cases(options.names):
        start = time.monotonic()
        for label, values in make(model, case, tokens, options.device)["sets"].items():
            print(
                f"{case['name']:14} {label:17} answer {values['answer_right']}/{values['answer_tokens']}, noise median"
                f" {values['noise_median']:.1e} max {values['noise_max']:.1e}, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    ship()


if __name__ == "__main__":
    main()
