"""One-shot expert pruning by REAP scores: mean over its tokens of route weight times norm of the expert's output."""
import torch

import tasks
from model import Run


def blocks(model):
    return list(model.layers) + list(model.mtp)


@torch.no_grad()
def observe(model, tokenizer, pool, n_rows, length=2048, seed=11):
    """REAP scores [blocks, E] on `n_rows` rows of the training mixture (own seed)."""
    device = model.embed.device
    model.eval()
    for b in blocks(model):
        b.ffn.observed = torch.zeros(2, b.ffn.n, device=device)
    v = tasks.Voice(seed)
    for _ in range(n_rows):
        ids = torch.tensor([tasks.row(v, tokenizer, pool, length, 0.4)[0]], device=device)
        run = Run(topk=model.c["index_topk"], simulate=True)
        x = model.streams(ids[:, :-1], run)
        model.draft(x, ids[:, 1:], run)
    scores = torch.stack([b.ffn.observed[0] / b.ffn.observed[1].clamp(min=1) for b in blocks(model)])
    for b in blocks(model):
        b.ffn.observed = None
    return scores


@torch.no_grad()
def prune(model, scores, keep):
    """Hides all but the `keep` best experts of each block, in place. Score routing: a bias that is never chosen. Hash
    routing: a hidden entry becomes a kept expert that the row lacks, counted on from (token + slot)."""
    for b, score in zip(blocks(model), scores):
        kept = score.topk(keep).indices.sort().values.tolist()
        if not b.ffn.hashed:
            hidden = torch.ones(b.ffn.n, dtype=torch.bool, device=score.device)
            hidden[kept] = False
            b.ffn.bias[hidden] = -1e30
            continue
        table, inside = b.ffn.tid2eid.tolist(), set(kept)
        for token, row in enumerate(table):
            for slot, expert in enumerate(row):
                if expert not in inside:
                    spare = [e for e in kept if e not in row]
                    row[slot] = spare[(token + slot) % len(spare)]
        b.ffn.tid2eid.copy_(torch.tensor(table))
