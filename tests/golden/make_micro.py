"""Writes engine/selftest/micro_models.bundle: the micro-models of cases/micro.py with tokens, golden logits and noise.

The bundle is a sequence of files, each a line `NAME BYTES` followed by that many bytes; selftest embeds and unpacks it.
"""
import json
import os
import shutil
import sys
import tempfile

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import micro  # noqa: E402
from make_models import BLOCK, relative, run  # noqa: E402
from noise import Float32Sums, Jitter  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402
from reference.drafts import classic_logits  # noqa: E402
from reference.model import Head, Model  # noqa: E402

BUNDLE = os.path.join(HERE, "..", "..", "engine", "selftest", "micro_models.bundle")
SETS = {"f32": ("f32", "fp8", "fp4"), "reference": ("reference", "fp8", "fp4")}
FILES = ("config.json", "golden.safetensors", "model.safetensors")
TOKEN_SEEDS = 6


def golden_positions(name):
    """All positions of short texts; of long ones the block borders and the end; of `far` the end only."""
    total = micro.MODELS[name]["tokens"]
    if total <= 160:
        return torch.arange(total)
    if total > micro.PERIOD:
        return torch.arange(total - 32, total)
    wanted = {0, 1, 2, 3, 4, 5, 14, 15, 16, 17, 18} | {p for p in range(total) if p % 128 in (0, 1, 126, 127) and p < 1000}
    return torch.tensor(sorted(wanted | set(range(total - 12, total))))


def choose_tokens(name, model):
    """Tokens whose f32 run keeps the largest distance from any selection tie."""
    best = (-1.0, None)
    for seed in range(1, TOKEN_SEEDS + 1):
        tokens = micro.tokens_of(name, seed)
        margins = {}
        with torch.no_grad():
            model.states(Arith("f32"), tokens, BLOCK, margins)
        gaps = torch.cat([torch.ones(1)] + margins.get("index_gaps", []) + margins.get("route_gaps", []))
        best = max(best, (float(gaps[gaps > 0].min()), seed))
        if best[0] == 1.0:
            break
    return micro.tokens_of(name, best[1])


def philox(counter, key):
    """Philox4x32-10 of four counter words under two key words."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draw(logits, position, temperature, top_p, seed, sequence):
    """Token drawn at a position and how far, in probability, the choice is from another one."""
    low = 0xFFFFFFFF
    word = philox([position & low, position >> 32, sequence & low, sequence >> 32], [seed & low, seed >> 32])
    u = (((word[0] << 32) | word[1]) >> 11) * 2.0**-53
    p = np.exp((logits - logits.max()) / temperature)
    order, lead = np.arange(len(p)), 1.0
    if top_p < 1:
        order = np.lexsort((np.arange(len(p)), -p))
        sums = np.cumsum(p[order]) / p.sum()
        lead = np.abs(sums - top_p).min()
        order = np.sort(order[:int(np.searchsorted(sums, top_p)) + 1])  # what is kept is drawn in the order of ids
    sums = np.cumsum(p[order]) / p[order].sum()
    return int(order[int(np.searchsorted(sums, u, side="right"))]), min(lead, np.abs(sums - u).min())


def draws(logits, position):
    """Golden draws from one row of logits: tensors of settings and tokens."""
    rows = [(temperature, top_p, seed, sequence)
            for temperature in (0.5, 1.0, 4.0) for top_p in (1.0, 0.75) for seed in (0, 1, 7, 2**40 + 3) for sequence in (0, 1, 2**33)]
    drawn = [draw(logits, position, *row) for row in rows]
    columns = list(zip(*[row + (token,) for row, (token, lead) in zip(rows, drawn) if lead > 1e-3]))
    names = ("temperature", "top_p", "seed", "sequence", "token")
    kinds = (("F32", np.float32),) * 2 + (("I64", np.int64),) * 3
    return {f"draws/{name}": st.Stored(dtype, np.array(column, kind)) for name, column, (dtype, kind) in zip(names, columns, kinds)}


ROUND_TEMPERATURE, ROUND_SEED = 4.0, 5  # flat distributions, so that drafts are right about half of the time


def drafted_rounds(model, arith, tokens, rounds):
    """Tokens that each round with two drafts yields, and how far the nearest of all draws is from another token."""
    leads = []

    def choose(logits, position):
        token, lead = draw(logits.double().numpy(), position, ROUND_TEMPERATURE, 1.0, ROUND_SEED, 0)
        leads.append(lead)
        return torch.tensor([token])

    lengths = []
    with torch.no_grad():
        for _ in range(rounds):
            n, head = len(tokens), Head(model.weights, "", model.config)
            h = model.states(arith, tokens)
            drawn = torch.cat((tokens, choose(head.logits(arith, h[-1:])[0], n)))
            first = choose(classic_logits(model, arith, h, drawn, n - 1, drawn[-1:])[0], n + 1)
            second = choose(classic_logits(model, arith, h, drawn, n - 1, torch.cat((first, first)))[1], n + 2)
            checked = torch.cat((drawn, first, second))
            after = head.logits(arith, model.states(arith, checked)[n:])
            kept = 1
            while kept < 3 and choose(after[kept - 1], n + kept) == checked[n + kept]:
                kept += 1
            tokens = checked[:n + kept]
            lengths.append(kept)
    return lengths, min(leads)


def draft_rounds(name, model):
    """Tokens to begin with and golden round lengths by set, for the token seed whose draws are clearest."""
    best = (-1.0, None, None)
    for seed in range(1, TOKEN_SEEDS + 1):
        tokens = micro.tokens_of(name, seed)
        runs = {label: drafted_rounds(model, Arith(*settings), tokens, micro.MODELS[name]["rounds"]) for label, settings in SETS.items()}
        lead = min(run[1] for run in runs.values())
        if lead > best[0]:
            best = (lead, tokens, {label: run[0] for label, run in runs.items()})
    print(f"{name:20}  nearest other draw {best[0]:.1e}, rounds {best[2]}")
    return best[1], best[2]


def make(name, directory):
    """Writes one model; returns a line about it."""
    builder = micro.MicroBuilder(name)
    tensors = builder.build()
    os.makedirs(directory)
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(builder.c, file, separators=(",", ":"))
    st.write(os.path.join(directory, "model.safetensors"), dict(sorted(tensors.items(), key=lambda item: -item[1].data.itemsize)))
    model = Model.open(directory)
    tokens = choose_tokens(name, model)
    positions = golden_positions(name)
    out = {"positions": st.Stored("I64", positions.numpy())}
    if "rounds" in micro.MODELS[name]:
        tokens, rounds = draft_rounds(name, model)
        out.update({f"rounds/{label}": st.Stored("I64", np.array(lengths)) for label, lengths in rounds.items()})
    line = f"{name:20}"
    for label in micro.MODELS[name].get("sets", SETS):
        settings = SETS[label]
        want = run(model, Arith(*settings), tokens, positions)
        variants = [Float32Sums(*settings)] + ([Jitter(1, *settings), Jitter(2, *settings)] if label == "reference" else [])
        others = [run(model, variant, tokens, positions) for variant in variants]
        for part, values in want.items():
            prefix = part[:-len("logits")]
            noise = torch.stack([relative(other[part], values) for other in others]).amax(0).float()
            out[f"{label}/{part}"], out[f"{label}/{prefix}noise"] = st.stored_f32(values.float()), st.stored_f32(noise)
            line += f"  {label} {part} {float(values.abs().max()):.1f} noise {float(noise.median()):.0e} {float(noise.max()):.0e}"
    if name == "plain":
        out.update(draws(out["f32/logits"].data[-1].astype(np.float64), len(tokens)))
    out["tokens"] = st.Stored("U8", tokens[:micro.PERIOD].numpy().astype("uint8"))
    st.write(os.path.join(directory, "golden.safetensors"), out)
    return line


def read_bundle():
    """Content of the files of the present bundle by name."""
    files = {}
    with open(BUNDLE, "rb") as bundle:
        while line := bundle.readline():
            name, size = line.decode().split()
            files[name] = bundle.read(int(size))
    return files


def main():
    """Makes the named models, or all; the others are taken from the present bundle."""
    made = sys.argv[1:] or list(micro.MODELS)
    files = read_bundle() if sys.argv[1:] else {}
    root = tempfile.mkdtemp()
    try:
        for name in made:
            print(make(name, os.path.join(root, name)), flush=True)
            for file in FILES:
                with open(os.path.join(root, name, file), "rb") as source:
                    files[f"{name}/{file}"] = source.read()
    finally:
        shutil.rmtree(root)
    with open(BUNDLE + ".new", "wb") as bundle:
        for name in [f"{model}/{file}" for model in micro.MODELS for file in FILES]:
            bundle.write(f"{name} {len(files[name])}\n".encode() + files[name])
    os.replace(BUNDLE + ".new", BUNDLE)  # never half a bundle for a build to find
    print(f"{os.path.getsize(BUNDLE)} bytes")


if __name__ == "__main__":
    main()
