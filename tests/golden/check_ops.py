"""Compares two sets of operation vectors under the manifest's own checks, or measures how much room the checks leave.

Without arguments it recomputes every expected output with float32 sums (the way an engine accumulates) and reports the
largest use of each check; an output that fails here would reject a correct engine.
"""
import json
import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import attention, basic, book, drafts, mixing, moe  # noqa: E402
from reference import formats  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402


class Float32Sums(Arith):
    """The strict precision with sums in float32 instead of float64."""

    def total(self, x, dim, keepdim=False):
        return self.settle(x.float().sum(dim, keepdim=keepdim))

    def matmul(self, a, b):
        return self.settle(a.float() @ b.float())


def numbers(stored):
    """Values of a stored output as float64 (codes as plain integers)."""
    if stored.dtype == "BF16":
        return formats.from_bf16_bits(stored.data).double().numpy()
    return stored.data.astype(np.float64)


def check(got, want, rule):
    """(passes, fraction unequal, fraction outside, worst excess) of the rule described in README.md."""
    if not want.size:
        return got.shape == want.shape, 0.0, 0.0, 0.0
    both_nan = np.isnan(got) & np.isnan(want)
    finite_want = np.abs(np.where(np.isnan(want), 0, want))
    difference = np.where(both_nan | (got == want), 0.0, np.abs(got - want))
    atol = rule["atol"] if "atol" in rule else rule["atol_of_max"] * finite_want.max()
    tol = atol + rule["rtol"] * finite_want
    unequal = float((difference != 0).mean())
    outside = float((difference > tol).mean())
    limit = np.maximum(tol, rule["outlier"])
    passes = unequal <= rule["unequal"] and outside <= rule["outside"] and not (difference > limit).any()
    return passes, unequal, outside, float((difference / np.maximum(limit, 1e-300)).max())


def main():
    directory = os.path.join(HERE, "vectors", "ops")
    with open(os.path.join(directory, "manifest.json")) as file:
        cases = json.load(file)["cases"]
    for module in (basic, mixing, attention, moe, drafts):
        module.STRICT = Float32Sums("reference")
    attention.KV_BF16, attention.INDEX_BF16 = Float32Sums("reference", kv_dtype="bf16"), Float32Sums("reference", index_dtype="bf16")
    again = book.Book()
    with torch.no_grad():
        for module in (basic, mixing, attention, moe, drafts):
            module.add_all(again)
    failures = 0
    for case in cases:
        stored = st.read(os.path.join(directory, case["file"]))
        for role, output in case["outputs"].items():
            got, want = numbers(again.files[case["op"]][output["tensor"]]), numbers(stored[output["tensor"]])
            passes, unequal, outside, excess = check(got, want, output["check"])
            if unequal or not passes:
                print(f"{case['name']:40} {role:10} {'ok  ' if passes else 'FAIL'} unequal {unequal:.4f} outside {outside:.4f} of limit {excess:.3f}")
            failures += not passes
    print(f"{len(cases)} cases, {failures} outputs fail")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
