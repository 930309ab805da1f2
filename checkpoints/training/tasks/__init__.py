"""The task mixture: what one training row holds, and the named evaluation sets."""
from . import arithmetic, chat, filler, legacy, needle, review, tools, topic
from .words import Voice, encode_sample

SHORT = {  # share of the short-task part, generator
    "tools": (0.24, tools.sample),
    "arithmetic": (0.24, arithmetic.sample),
    "review": (0.16, review.sample),
    "chat": (0.10, chat.sample),
    "legacy": (0.26, legacy.sample),
}
PLAIN, ANSWER, PAD_ID = 0, 1, 2
HCA_ONLY = 3  # mask value of token 0 in rows whose CSA entries are hidden


def short(v):
    k = v.random()
    for share, make in SHORT.values():
        if k < share:
            return make(v)
        k -= share
    return legacy.sample(v)


def document(v, tokenizer, pool, length):
    """One long text with questions: facts, the prototype's facts, or a source file with one bad function."""
    k = v.random()
    if k < 0.16:
        return review.long_sample(v, tokenizer, length)
    most = max(1, min(12, (length - 120) // 60))
    n_facts = v.randint(1, most)
    n_questions = v.randint(1, min(n_facts, 4))
    make = needle.sample if k < 0.66 else legacy.needle_sample
    return make(v, tokenizer, pool, length, n_facts, n_questions)


def row(v, tokenizer, pool, length, p_document, p_hca=0.0):
    """`length` + 1 tokens and mask: documents of mixed lengths and short tasks packed one after another."""
    if v.random() < p_hca:
        ids, mask = topic.sample(v, tokenizer, pool, length + 1)
        mask[0] = HCA_ONLY
        fill = length + 1 - len(ids)
        return ids + [PAD_ID] * fill, mask + [PLAIN] * fill
    ids, mask = [], []
    while len(ids) <= length:
        room = length + 1 - len(ids)
        if v.random() < p_document and room > 200:
            size = room if not ids and v.random() < 0.5 else v.randint(200, room)
            more = document(v, tokenizer, pool, size)
        else:
            more = encode_sample(tokenizer, short(v))
        ids, mask = ids + more[0], mask + more[1]
    return ids[: length + 1], mask[: length + 1]


def evaluation_sets(tokenizer, n, held, seed=4242):
    """Short-task sets by name: n samples each as (ids, mask)."""
    makers = {
        "tools": tools.sample,
        "story": arithmetic.story,
        "bare": arithmetic.bare,
        "compare": arithmetic.compare,
        "review": review.sample,
        "chat": chat.sample,
    }
    if not held:
        makers.update({
            "legacy_tool": legacy.tool, "legacy_story": legacy.story, "legacy_plus": legacy.plus,
            "legacy_review": legacy.review, "legacy_chat": legacy.chat,
        })
    out = {}
    for i, (name, make) in enumerate(makers.items()):
        v = Voice(seed + i, held)
        out[name] = [encode_sample(tokenizer, make(v)) for _ in range(n)]
    return out


def long_set(kind, tokenizer, pool, length, n, held, depth=None, seed=7):
    """Long-text sets: kind in needle, legacy_needle, long_code, long_code_clean, topic."""
    v = Voice(seed * 1000003 + length + (0 if depth is None else int(depth * 100)), held)
    if kind == "long_code":
        return [review.long_sample(v, tokenizer, length, True, depth) for _ in range(n)]
    if kind == "long_code_clean":
        return [review.long_sample(v, tokenizer, length, False) for _ in range(n)]
    if kind == "topic":
        return [topic.sample(v, tokenizer, pool, length) for _ in range(n)]
    make = needle.sample if kind == "needle" else legacy.needle_sample
    n_facts = 4 if length >= 512 else 2
    return [make(v, tokenizer, pool, length, n_facts, 1, depth) for _ in range(n)]
