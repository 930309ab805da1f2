"""Writes vectors/drafts/NAME: logits of drafts with the tokens that led to them, for mtp.0 and for DSpark checkpoints."""
import json
import os
import shutil
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import checkpoints  # noqa: E402
from noise import Float32Sums, Jitter  # noqa: E402
from reference import drafts  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402
from reference.model import Model  # noqa: E402

SETS = {"reference_kv_fp8": ("reference", "fp8", "fp4"), "f32": ("f32", "fp8", "fp4")}
CLASSIC = ["odd", "wide", "bf16", "sharded"]  # of vectors/models
DEPTH = 3
TOKENS = 200


def wanted_positions(window):
    """First tokens, both sides of the window, where its ring has wrapped, the last possible one."""
    wanted = {0, 1, 2, 7, window - 2, window - 1, window, window + 1, 2 * window - 1, TOKENS - 2}
    return sorted(p for p in wanted if p <= TOKENS - 2)


def run(model, arith, tokens, positions, chosen):
    """Logits [positions, depth, vocab]."""
    with torch.no_grad():
        if model.has_mtp():
            h = model.states(arith, tokens)
            return torch.stack([drafts.classic_logits(model, arith, h, tokens, p, row) for p, row in zip(positions, chosen)])
        means = drafts.layer_means(model, arith, tokens)
        return torch.stack([drafts.dspark_logits(model, arith, means, tokens, p, row) for p, row in zip(positions, chosen)])


def make(name):
    """One model: writes its folder and returns a line about it."""
    directory = os.path.join(HERE, "vectors", "drafts", name)
    if os.path.isdir(directory):
        shutil.rmtree(directory)
    os.makedirs(directory)
    if name in CLASSIC:
        source = os.path.join(HERE, "vectors", "models", name)
        with open(os.path.join(source, "tokens.json")) as file:
            tokens = torch.tensor(json.load(file)[:TOKENS])
    else:
        source = directory
        checkpoints.write_checkpoint(directory, name, checkpoints.Builder(name).build())
        tokens = checkpoints.tokens_of(name, 1)
        with open(os.path.join(directory, "tokens.json"), "w") as file:
            json.dump(tokens.tolist(), file, separators=(",", ":"))
            file.write("\n")
    model = Model.open(source)
    positions = wanted_positions(model.config.sliding_window)
    depth = DEPTH if model.has_mtp() else model.config.dspark_block_size
    chosen = torch.randint(model.config.vocab_size, (len(positions), depth), generator=torch.Generator().manual_seed(len(name)))
    out = {"positions": st.Stored("I64", torch.tensor(positions).numpy()), "chosen": st.Stored("I64", chosen.numpy())}
    line = name
    for label, settings in SETS.items():
        want = run(model, Arith(*settings), tokens, positions, chosen)
        variants = [Float32Sums(*settings)] + ([Jitter(1, *settings)] if settings[0] == "reference" else [])
        others = [run(model, variant, tokens, positions, chosen) for variant in variants]
        noise = torch.stack([(o.double() - want.double()).abs().amax(2) for o in others]).amax(0) / want.double().abs().max()
        out[f"{label}/logits"], out[f"{label}/noise"] = st.stored_f32(want.float()), st.stored_f32(noise.float())
        line += f"; {label} noise median {float(noise.median()):.1e} max {float(noise.max()):.1e}"
    st.write(os.path.join(directory, "golden.safetensors"), out)
    size = sum(os.path.getsize(os.path.join(directory, file)) for file in os.listdir(directory))
    return f"{line}; {size} bytes"


def main():
    for name in sys.argv[1:] or CLASSIC + list(checkpoints.DRAFT_MODELS):
        print(make(name), flush=True)


if __name__ == "__main__":
    main()
