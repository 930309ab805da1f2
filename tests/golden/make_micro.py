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

import make_sampling  # noqa: E402
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
ROUND_TEMPERATURE, ROUND_SEED = 4.0, 5  # flat distributions, so that drafts are right about half of the time
DRAW_ANSWER = 12  # last tokens of the text that count as an answer's in golden draws
DRAW_DEFAULTS = {"top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
DRAW_COLUMNS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
                "bias_token", "bias", "seed", "sequence", "token")


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


def draws(logits, tokens):
    """Golden draws from one row of logits by the chain of make_sampling.py, [n, len(DRAW_COLUMNS)]: those that slightly other logits give too."""
    history, n_prompt = tokens.tolist(), len(tokens) - DRAW_ANSWER
    often = max(set(history[n_prompt:]), key=history[n_prompt:].count)
    lift = [[often, round(4 * float(logits.max() - logits[often])) / 4]]  # as likely as the likeliest
    controls = [{}, {"top_p": 0.75}, {"top_k": 3}, {"min_p": 0.25}, {"repetition_penalty": 1.6}, {"presence_penalty": 1.5},
                {"frequency_penalty": 0.75, "logit_bias": lift}, {"logit_bias": lift}, {"top_k": 6, "min_p": 0.125, "top_p": 0.75},
                {"repetition_penalty": 1.25, "presence_penalty": 0.5, "frequency_penalty": 0.5, "top_k": 8}]
    keys = [{"seed": seed, "sequence": sequence} for seed in (0, 1, 7, 2**40 + 3) for sequence in (0, 1, 2**33)]
    jitter = np.random.default_rng(1).uniform(-1e-3, 1e-3, (6, len(logits)))
    rows = []
    for temperature in (0.0, 0.5, 1.0, 4.0):
        for control in controls:
            for key in keys if temperature else keys[:1]:
                settings = {"temperature": temperature, **control, **key}
                token, *others = [make_sampling.draw(list(x), len(tokens), settings, history, n_prompt) for x in (logits, *(logits + jitter))]
                if all(other == token for other in others):
                    bias = settings.get("logit_bias", [[0, 0.0]])[0]
                    named = {**DRAW_DEFAULTS, **settings, "bias_token": bias[0], "bias": bias[1], "token": token}
                    rows.append([float(named[column]) for column in DRAW_COLUMNS])
    return st.Stored("F64", np.array(rows))


def draw(logits, position):
    """Token that a round draws at a position and how far, in probability, the choice is from another one."""
    p = np.exp((logits - logits.max()) / ROUND_TEMPERATURE)
    sums, u = np.cumsum(p) / p.sum(), make_sampling.uniform(ROUND_SEED, 0, position)
    return int(np.searchsorted(sums, u, side="right")), np.abs(sums - u).min()


def drafted_rounds(model, tokens, rounds):
    """Tokens that each round with two drafts yields in f32, and how far the nearest of all draws is from another token."""
    arith, leads = Arith("f32"), []

    def choose(logits, position):
        token, lead = draw(logits.double().numpy(), position)
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
    """Tokens to begin with and golden round lengths, for the token seed whose draws are clearest."""
    best = (-1.0, None, None)
    for seed in range(1, TOKEN_SEEDS + 1):
        tokens = micro.tokens_of(name, seed)
        lengths, lead = drafted_rounds(model, tokens, micro.MODELS[name]["rounds"])
        if lead > best[0]:
            best = (lead, tokens, lengths)
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
        out["rounds"] = st.Stored("I64", np.array(rounds))
    line = f"{name:20}"
    for label in micro.MODELS[name].get("sets", SETS):
        settings = SETS[label]
        want = run(model, Arith(*settings), tokens, positions)
        variants = [Float32Sums(*settings)] + ([Jitter(1, *settings), Jitter(2, *settings)] if label == "reference" else [])
        others = [run(model, variant, tokens, positions) for variant in variants]
        noise = torch.stack([relative(other["logits"], want["logits"]) for other in others]).amax(0).float()
        out[f"{label}/logits"], out[f"{label}/noise"] = st.stored_f32(want["logits"].float()), st.stored_f32(noise)
        line += f"  {label} logits {float(want['logits'].abs().max()):.1f} noise {float(noise.median()):.0e} {float(noise.max()):.0e}"
    if name == "plain":
        out["draws"] = draws(out["f32/logits"].data[-1].astype(np.float64), tokens)
    out["tokens"] = st.Stored("I32", tokens[:micro.PERIOD].numpy().astype("int32"))
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
