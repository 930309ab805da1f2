"""Command line: logits of a checkpoint for a list of token ids, written as safetensors (see README.md)."""
import argparse
import json

import torch

from . import safetensors_io as st
from .arith import Arith
from .model import Model, mtp_positions, parse_positions


def main():
    parser = argparse.ArgumentParser(prog="reference.logits", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="directory in the official layout")
    parser.add_argument("--tokens", required=True, help="JSON file with a list of token ids")
    parser.add_argument("--precision", choices=("reference", "f32"), default="reference")
    parser.add_argument("--kv", choices=("fp8", "bf16"), default="fp8")
    parser.add_argument("--index", choices=("fp4", "bf16"), default="fp4")
    parser.add_argument("--positions", default="all", help="all, last:N or a comma separated list")
    parser.add_argument("--block", type=int, default=256, help="queries per block; bounds memory, changes nothing")
    parser.add_argument("--mtp", action="store_true", help="also write the MTP block's logits")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with open(args.tokens) as file:
        tokens = torch.tensor(json.load(file), dtype=torch.long)
    model = Model.open(args.checkpoint)
    if len(tokens) == 0 or tokens.min() < 0 or tokens.max() >= model.config.vocab_size:
        raise SystemExit(f"{args.tokens}: ids must be a non-empty list of 0..{model.config.vocab_size - 1}")
    positions = parse_positions(args.positions, len(tokens))
    arith = Arith(args.precision, args.kv, args.index)
    with torch.no_grad():
        logits, mtp = model.logits(arith, tokens, positions, args.block, with_mtp=args.mtp)
    out = {"logits": st.stored_f32(logits.float()), "positions": st.Stored("I64", positions.numpy())}
    if mtp is not None:
        out["mtp_logits"] = st.stored_f32(mtp.float())
        out["mtp_positions"] = st.Stored("I64", mtp_positions(positions, len(tokens)).numpy())
    st.write(args.out, out)


if __name__ == "__main__":
    main()
