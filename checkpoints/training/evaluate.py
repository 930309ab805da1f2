"""Evaluation of a checkpoint: exact match of whole answers by task and split, needles by length, pruned experts,
mechanisms switched off, and MTP acceptance. Teacher forcing gives the same verdict as greedy decoding for exact match.

    python3 evaluate.py CHECKPOINT_DIR OUT.json [--seconds 120] [--speeches FILE ...]
"""
import argparse
import copy
import json
import os
import time

import torch
import torch.nn.functional as F

import official
import reap
import tasks
from config import CONFIG
from model import Model, Run
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
PAD = tasks.PAD_ID


@torch.no_grad()
def exact(model, samples, topk=None, simulate=True, off=(), tokens=65536, draft=True):
    """-> {"em", "tok", "n", and with draft "mtp1", "mtp2": agreement of the drafts with the model's own next tokens}"""
    model.eval()
    device, d = model.embed.device, model.c["hidden_size"]
    topk = model.c["index_topk"] if topk is None else topk
    hits = right = answers = 0
    drafts = [0, 0, 0, 0]
    todo = sorted(samples, key=lambda s: len(s[0]))
    while todo:
        longest = -(-(len(todo[0][0]) - 1) // 128) * 128
        batch = [s for s in todo[: max(1, min(128, tokens // longest))] if len(s[0]) - 1 <= longest]
        todo = todo[len(batch) :]
        ids = torch.tensor([s[0] + [PAD] * (longest + 1 - len(s[0])) for s in batch], device=device)
        mask = torch.tensor([s[1] + [0] * (longest + 1 - len(s[1])) for s in batch], device=device) == 1
        run = Run(topk=topk, simulate=simulate, off=off)
        x = model.streams(ids[:, :-1], run)
        at = mask[:, 1:]  # only answer positions need logits, and at 200K tokens only those fit
        said = model.logits(model, x[at]).argmax(-1)
        good = said == ids[:, 1:][at]
        right, answers = right + good.sum().item(), answers + good.numel()
        rows = at.nonzero()[:, 0]
        wrong = torch.zeros(len(batch), device=device).index_add_(0, rows, (~good).float())
        hits += (wrong == 0).sum().item()
        if draft:
            own = torch.full(at.shape, -1, device=device)
            own[at] = said
            y = model.draft(x, ids[:, 1:], run)
            for k, state in enumerate((y, model.draft(y, F.pad(ids[:, 2:], (0, 1), value=PAD), run))):
                made = model.logits(model.mtp[0], state.reshape(-1, 4, d)).argmax(-1).view(at.shape) if longest <= 16384 else None
                if made is None:
                    continue
                # The draft at position i speaks about token i + 2 + k, which the backbone predicts at i + 1 + k.
                target = F.pad(own[:, 1 + k :], (0, 1 + k), value=-1)
                drafts[2 * k] += ((made == target) & (target >= 0)).sum().item()
                drafts[2 * k + 1] += (target >= 0).sum().item()
    out = {"em": round(hits / len(samples), 4), "tok": round(right / max(1, answers), 4), "n": len(samples)}
    if draft and drafts[1]:
        out.update(mtp1=round(drafts[0] / drafts[1], 4), mtp2=round(drafts[2] / max(1, drafts[3]), 4))
    return out


def brief(model, tokenizer, pool, n=64):
    """A few sets for the training log."""
    sets = tasks.evaluation_sets(tokenizer, n, False, seed=99)
    sets = {k: sets[k] for k in ("tools", "story", "bare", "review", "legacy_tool")}
    for kind, length in (("needle", 1024), ("needle", 4096), ("long_code", 1024), ("topic", 1024)):
        sets[f"{kind}_{length}"] = tasks.long_set(kind, tokenizer, pool, length, n // 2, False)
    return {k: exact(model, s, draft=False)["em"] for k, s in sets.items()}


def standard(model, tokenizer, pool, n, lengths, draft=False):
    """The sets that pruned and faulty models are judged by."""
    out = {k: exact(model, s, draft=draft) for k, s in tasks.evaluation_sets(tokenizer, n, False).items()}
    for length, count in lengths:
        out[f"needle_{length}"] = exact(model, tasks.long_set("needle", tokenizer, pool, length, count, False), draft=draft)
    return out


def everything(model, tokenizer, speeches, seconds, record):
    """Calls record(name, value) for each finished part, most important first; stops starting new ones when time is up."""
    began = time.time()
    left = lambda: seconds - (time.time() - began)
    pools = {}
    for held in (False, True):
        v = tasks.Voice(777 + held, held)
        pools[held] = tasks.filler.token_pool(v, tokenizer, 4000, tasks.filler.english(speeches, held))
    name = {False: "in_template", True: "held_out"}
    for held in (False, True):
        sets = tasks.evaluation_sets(tokenizer, 400, held)
        record(f"short/{name[held]}", {k: exact(model, s) for k, s in sets.items()})
    ladder = ((512, 64), (1024, 64), (2048, 64), (4096, 64), (8192, 64), (16384, 32), (32768, 16))
    for kind in ("needle", "legacy_needle", "long_code", "long_code_clean", "topic"):
        top = 16384 if kind in ("needle", "legacy_needle") else 8192
        for held in (False, True) if kind != "legacy_needle" else (False,):
            row = {}
            for length, n in ladder[:7]:
                if length <= top and left() > 0:
                    row[length] = exact(model, tasks.long_set(kind, tokenizer, pools[held], length, n, held))
            record(f"{kind}/{name[held]}", row)
    pruned = [("all", model)]
    scores = reap.observe(model, tokenizer, pools[False], 64)
    record("reap/scores", [[round(x, 5) for x in row] for row in scores.tolist()])
    for keep in (23, 20, 18):
        if left() > 0 and keep < model.c["n_routed_experts"]:
            small = copy.deepcopy(model)
            reap.prune(small, scores, keep)
            pruned.append((keep, small))
            record(f"reap/{keep}", standard(small, tokenizer, pools[False], 200, ((1024, 64), (8192, 32))))
    record("precision/no_runtime_rounding", {
        k: exact(model, s, simulate=False, draft=False) for k, s in tasks.evaluation_sets(tokenizer, 200, False).items()})
    for off in ("csa", "hca", "indexer", "sink", "overlap", "inverse"):
        if left() > 0:
            sets = {k: s[:100] for k, s in tasks.evaluation_sets(tokenizer, 100, False).items() if k in ("story", "tools")}
            for kind, length in (("needle", 2048), ("long_code", 2048), ("topic", 2048)):
                sets[f"{kind}_{length}"] = tasks.long_set(kind, tokenizer, pools[False], length, 32, False)
            record(f"off/{off}", {k: exact(model, s, off=(off,), draft=False)["em"] for k, s in sets.items()})
    for kind in ("needle", "legacy_needle"):
        for length, n in ((32768, 16), (65536, 8), (131072, 4), (200000, 4)):
            if left() > 0:
                t = time.time()
                samples = tasks.long_set(kind, tokenizer, pools[False], length, n, False)
                out = exact(model, samples, tokens=length, draft=False)
                record(f"{kind}/in_template/{length}", dict(out, seconds=round(time.time() - t, 1)))
    for depth in (0.0, 0.25, 0.5, 0.75, 1.0):
        if left() > 0:
            record(f"needle/depth/{depth}", {
                length: exact(model, tasks.long_set("needle", tokenizer, pools[False], length, n, False, depth), draft=False)["em"]
                for length, n in ((1024, 32), (4096, 32), (16384, 16))})
    for topk in (8, 16, 32, 128):
        if left() > 0:
            samples = tasks.long_set("needle", tokenizer, pools[False], 8192, 32, False)
            record(f"needle_8192/topk/{topk}", exact(model, samples, topk=topk, draft=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--speeches", nargs="*", default=[])
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Model(CONFIG).to(device)
    official.load(model, options.checkpoint)
    tokenizer = Tokenizer.load(os.path.join(HERE, "merges.json"))
    results = {}

    def record(key, value):
        results[key] = value
        print(key, json.dumps(value), flush=True)
        with open(options.out, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)

    everything(model, tokenizer, options.speeches, options.seconds, record)


if __name__ == "__main__":
    main()
