"""Trains the tiny checkpoint within a wall-clock budget, writes it in the official layout and evaluates it.

    python3 train.py --out DIR [--seed 0] [--seconds 400] [--evaluate 120] [--speeches FILE ...]

Progress is time spent over time given, so the whole schedule (lengths, rounding, learning rate) always completes.
`--miniature` steps a small model on the CPU to check the scripts.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import time
import traceback

import numpy as np
import torch
import torch.nn.functional as F

import tasks
from config import CONFIG, MINIATURE
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTHS = (512, 1024, 2048, 8192, 16384)
WORKER_SHARE = {512: 3, 1024: 5, 2048: 3, 8192: 2, 16384: 2}
ANSWER_WEIGHT, TEXT_WEIGHT = 1.0, 0.05
ROUNDING_FROM = 0.5  # progress at which weights and activations start to be rounded as the engine sees them
TOPK_ONLY_FROM = 0.85


def length_shares(progress):
    if progress < 0.10:
        return {512: 1.0}
    if progress < 0.30:
        return {512: 0.3, 1024: 0.4, 2048: 0.3}
    if progress < 0.55:
        return {1024: 0.45, 2048: 0.3, 8192: 0.25}
    return {1024: 0.45, 2048: 0.15, 8192: 0.2, 16384: 0.2}


def produce(seed, length, rows, speeches, queue):
    """Worker: endless batches of one length."""
    v = tasks.Voice(seed)
    tokenizer = Tokenizer.load(os.path.join(HERE, "merges.json"))
    english = tasks.filler.english(speeches, held=False)
    pool = tasks.filler.token_pool(v, tokenizer, 5000, english)
    p_document = 0.5 if length <= 1024 else 0.65 if length == 2048 else 0.85
    while True:
        made = [tasks.row(v, tokenizer, pool, length, p_document, 0.08 if length >= 512 else 0.0) for _ in range(rows)]
        queue.put((np.array([m[0] for m in made], np.int16), np.array([m[1] for m in made], np.uint8)))
        for fresh in tasks.filler.token_pool(v, tokenizer, 150, english):
            pool[v.randrange(len(pool))] = fresh


class Feed:
    """Batches by length from worker processes. Must be made before CUDA is touched (fork)."""

    def __init__(self, lengths, tokens, workers, seed, speeches):
        context = multiprocessing.get_context("fork")
        self.queues, self.processes = {}, []
        shares = {n: WORKER_SHARE[n] for n in lengths}
        for length, share in shares.items():
            self.queues[length] = context.Queue(6)
            for k in range(max(1, round(workers * share / sum(shares.values())))):
                arguments = (hash((seed, length, k)) & 0xFFFFFFF, length, max(1, tokens // length), speeches, self.queues[length])
                process = context.Process(target=produce, args=arguments, daemon=True)
                process.start()
                self.processes.append(process)

    def get(self, length, device):
        ids, mask = (torch.from_numpy(a) for a in self.queues[length].get(timeout=120))
        if device == "cuda":
            ids, mask = (t.pin_memory().to(device, non_blocking=True) for t in (ids, mask))
        return ids.long(), mask

    def close(self):
        for process in self.processes:
            process.terminate()


def jumped_positions(rows, length, device):
    """Positions with up to two random jumps of whole 128-blocks (to about 128 K) in half of the rows, so that the compressed
    layers see far distances at short lengths."""
    blocks = length // 128
    draw = torch.rand(rows, blocks, device=device)
    chosen = draw >= draw.topk(min(2, blocks), -1).values[:, -1:]
    chosen &= (torch.rand(rows, 1, device=device) < 0.5) & (torch.rand(rows, blocks, device=device) < 0.7)
    chosen[:, 0] = False
    size = torch.exp(torch.rand(rows, blocks, device=device) * math.log(1000)).floor() * 128
    jump = torch.where(chosen, size, torch.zeros_like(size)).cumsum(1).long()
    return torch.arange(length, device=device)[None] + jump.repeat_interleave(128, 1)


def weighted(logits, target, weight):
    """-> (weighted mean loss, unreduced losses)"""
    each = F.cross_entropy(logits, target, reduction="none")
    return (each * weight).sum() / weight.sum().clamp(min=1e-6), each


def losses(model, ids, mask, run, second_draft):
    """Total loss and a dict of parts. ids [B, S + 1]."""
    b, s = ids.shape[0], ids.shape[1] - 1
    d, pad = model.c["hidden_size"], tasks.PAD_ID
    weight = torch.where(mask == tasks.ANSWER, ANSWER_WEIGHT, TEXT_WEIGHT) * (ids != pad)
    x = model.streams(ids[:, :-1], run)
    logits = model.logits(model, x.view(b * s, 4, d))
    main, each = weighted(logits, ids[:, 1:].reshape(-1), weight[:, 1:].reshape(-1))
    total, state, parts = main, x, {}
    for k in range(2 if second_draft else 1):
        following = F.pad(ids[:, 1 + k :], (0, k), value=pad)
        state = model.draft(state, following, run)
        made = model.logits(model.mtp[0], state.view(b * s, 4, d))
        target, w = (F.pad(t[:, 2 + k :], (0, 1 + k), value=v).reshape(-1) for t, v in ((ids, pad), (weight, 0)))
        loss, _ = weighted(made, target, w)
        total = total + (0.2 if k == 0 else 0.1) * loss
        parts[f"mtp{k + 1}"] = loss.detach()
    kl = sum(run.kl_losses)
    with torch.no_grad():  # products with masks, not indexing, which would make the host wait
        answer = (mask[:, 1:] == tasks.ANSWER).reshape(-1).float()
        text = (ids[:, 1:] != pad).reshape(-1).float() * (1 - answer)
        hit = (logits.argmax(-1) == ids[:, 1:].reshape(-1)).float()
        mean = lambda value, where: (value * where).sum() / where.sum().clamp(min=1)
        parts["answer"], parts["accuracy"], parts["text"] = mean(each, answer), mean(hit, answer), mean(each, text)
        parts["kl"] = torch.as_tensor(kl).detach()
    return total + kl, parts


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=400, help="training time, first steps of each shape not counted")
    parser.add_argument("--wall", type=float, default=1e9, help="end training this long after the start, come what may")
    parser.add_argument("--evaluate", type=float, default=120, help="time for the evaluation that follows")
    parser.add_argument("--tokens", type=int, default=49152, help="tokens per step")
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--lr", type=float, default=0.02, help="Muon's; AdamW takes 0.15 of it")
    parser.add_argument("--speeches", nargs="*", default=[])
    parser.add_argument("--miniature", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="time every length, then train briefly")
    return parser.parse_args()


def main():
    start = time.time()
    a = parse()
    os.makedirs(a.out, exist_ok=True)
    results = {"arguments": vars(a), "log": []}
    config = MINIATURE if a.miniature else CONFIG
    lengths = (512,) if a.miniature else LENGTHS
    feed = Feed(lengths, a.tokens, a.workers, a.seed, a.speeches)

    def log(text):
        line = f"[{time.time() - start:6.1f}] {text}"
        print(line, flush=True)
        results["log"].append(line)

    def record(key, value):
        results[key] = value
        log(f"{key} {json.dumps(value)}")
        with open(os.path.join(a.out, "results.json"), "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)

    import evaluate
    import official
    from check_kernels import use_kernels
    from model import Model, Run
    from optimizer import Optimizer, round_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        log(f"{torch.cuda.get_device_name()} torch {torch.__version__}")
        use_kernels(log)
    torch.manual_seed(a.seed)
    tokenizer = Tokenizer.load(os.path.join(HERE, "merges.json"))
    model = Model(config).to(device).train()
    optimizer = Optimizer(model, a.lr * 0.15)
    pool = tasks.filler.token_pool(tasks.Voice(55), tokenizer, 1500, tasks.filler.english(a.speeches, False))
    log(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
    most = int(config["n_routed_experts"] * 0.44)  # 14 of 32, as many as the hardest pruning hides

    r = random.Random(a.seed)
    step = tokens = total_tokens = 0
    skipped, seen, window, sums = 0.0, set(), time.time(), {}
    checks, began, rounding = [0.25, 0.5, 0.75], time.time(), False
    while True:
        now = time.time()
        progress = (now - began - skipped) / a.seconds
        if progress >= 1 or now - start > a.wall:
            break
        if a.smoke and len(seen) < 2 * len(lengths):
            length, sparse = [(n, k) for n in lengths for k in (False, True)][len(seen)]
        else:
            shares = {512: 1.0} if a.miniature else length_shares(progress)
            length = r.choices(list(shares), list(shares.values()))[0]
            sparse = length >= 2048 and (progress > TOPK_ONLY_FROM or r.random() < 0.5)
        ids, mask = feed.get(length, device)
        rounding = progress > ROUNDING_FROM
        run = Run(
            topk=config["index_topk"] if sparse else None,
            far=jumped_positions(ids.shape[0], length, device) if progress > 0.1 else None,
            hide_csa=mask[:, 0] == tasks.HCA_ONLY,
            drop=(0.5, most) if progress > 0.04 else None,
            simulate=rounding,
            kl=True,
        )
        loss, parts = losses(model, ids, mask, run, second_draft=step % 4 == 0)
        for p in model.parameters():
            p.grad = None
        loss.backward()
        warm = min(1.0, (step + 1) / 60)
        decay = 1.0 if progress < 0.5 else max(0.01, (1 - progress) / 0.5)
        optimizer.step(a.lr * warm * decay, a.lr * 0.15 * warm * decay, min(0.95, 0.85 + step / 3000), rounding)
        for block in list(model.layers) + list(model.mtp):
            if not block.ffn.hashed and decay > 0.1:
                block.ffn.bias += 1e-2 * decay * (block.ffn.load.mean() - block.ffn.load).sign()
        step, tokens, total_tokens = step + 1, tokens + ids.shape[0] * length, total_tokens + ids.shape[0] * length
        if (length, sparse) not in seen:
            if device == "cuda":
                torch.cuda.synchronize()
            skipped += time.time() - now
            seen.add((length, sparse))
            log(f"first step at {length}, top-k {sparse}: {time.time() - now:.1f} s")
            if a.smoke:
                time_steps(model, optimizer, feed, run, length, sparse, config, device, log)
        if step % 10 == 0 or step < 5:
            bucket = sums.setdefault(length, [])
            bucket.append({k: x.item() for k, x in parts.items()})
        if step % 100 == 0 or step in (10, 30):
            speed = tokens / (time.time() - window)
            for n, rows in sorted(sums.items()):
                mean = {k: f"{np.mean([x[k] for x in rows if k in x]):.3f}" for k in ("answer", "accuracy", "text", "mtp1", "kl")}
                log(f"step {step} at {progress:.3f} length {n} {mean}")
            peak = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else ""
            log(f"step {step}: {speed / 1e3:.0f}k tokens/s{peak}, queues {[q.qsize() for q in feed.queues.values()]}")
            window, tokens, sums = time.time(), 0, {}
        if checks and progress > checks[0] and not a.miniature:
            t = time.time()
            load = [f"{(b.ffn.load.max() / b.ffn.load.mean()).item():.2f}" for b in model.layers]
            record(f"brief/{checks.pop(0)}", evaluate.brief(model, tokenizer, pool))
            log(f"load max/mean {load}")
            model.train()
            skipped, window, tokens = skipped + time.time() - t, time.time(), 0
    feed.close()
    optimizer.publish(True)
    round_model(model)
    total, change = official.save(model, a.out)
    record("training", {"steps": step, "tokens": total_tokens, "seconds": round(time.time() - began - skipped, 1),
                        "first_steps_and_checks_seconds": round(skipped, 1), "tensor_bytes": total,
                        "largest_change_by_packing": change})
    if a.evaluate > 0:
        try:
            evaluate.everything(model, tokenizer, a.speeches, a.evaluate, record)
        except Exception:  # the weights are written; evaluate.py can be run on them again
            record("evaluation_stopped_by", traceback.format_exc())
    record("wall_seconds", round(time.time() - start, 1))


def time_steps(model, optimizer, feed, run, length, sparse, config, device, log):
    """Smoke: three timed steps of one shape, with and without the run-time rounding."""
    for simulate in (False, True):
        run.simulate, took = simulate, []
        for _ in range(3):
            ids, mask = feed.get(length, device)
            run.kl_losses, run.far, run.hide_csa = [], None, mask[:, 0] == tasks.HCA_ONLY
            if device == "cuda":
                torch.cuda.synchronize()
            t = time.time()
            loss, _ = losses(model, ids, mask, run, second_draft=False)
            for p in model.parameters():
                p.grad = None
            loss.backward()
            if device == "cuda":
                torch.cuda.synchronize()
            middle = time.time()
            optimizer.step(1e-4, 1e-5, 0.9, True)
            if device == "cuda":
                torch.cuda.synchronize()
            took.append((time.time() - t, time.time() - middle))
        whole, opt = took[-1]
        log(f"  {length} top-k {sparse} rounding {simulate}: {whole * 1e3:.0f} ms ({opt * 1e3:.0f} optimiser), {ids.numel() / whole / 1e3:.0f}k tokens/s")


if __name__ == "__main__":
    main()
