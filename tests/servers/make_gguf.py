"""Writes a GGUF file of a tiny llama with random weights: make_gguf.py FILE [SEED].

For servers around llama.cpp: what comes out is nonsense, but it is computed, tokenised and streamed
by the real engine. The tokenizer has one token per byte and a few hundred words, so answers cut
characters between tokens as real byte-level models do. Needs only the standard library.
"""
import random
import struct
import sys
from array import array

LAYERS, WIDTH, HEADS, KV_HEADS, INNER, CONTEXT = 2, 64, 4, 2, 128, 8192
WORDS = ("the of and to in is it you that he was for on are with as his they be at one have this "
         "what answer question number day right true false yes no code line text function return "
         "value time world year place thing people water word call first side name part work").split()
TEMPLATE = ("{% for message in messages %}{{ '[' + message['role'] + ']' + message['content'] }}"
            "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}")

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5  # types of values, as GGUF numbers them
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # types of tokens


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_of(kind, value):
    if kind == STRING:
        return text(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value_of(kind, value)


def entries(key, kind, values):
    head = text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(value_of(kind, value) for value in values)


def vocabulary():
    tokens = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    tokens += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    letters = [chr(c) for c in range(33, 127)] + ["\u2581", "\u00e4", "\u4e2d"]
    tokens += [(letter, -100.0, NORMAL) for letter in letters]
    # A word is reached by merging its prefixes, so these are tokens too.
    pieces = []
    for word in WORDS:
        whole = "\u2581" + word
        pieces += [whole[:end] for end in range(2, len(whole) + 1)]
    seen = set()
    pieces = [p for p in pieces if not (p in seen or seen.add(p))]
    return tokens + [(piece, -1.0 - i, NORMAL) for i, piece in enumerate(pieces)]


def main():
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    vocab = vocabulary()
    kv_width = WIDTH // HEADS * KV_HEADS
    meta = [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny random llama"),
        entry("llama.context_length", U32, CONTEXT),
        entry("llama.embedding_length", U32, WIDTH),
        entry("llama.block_count", U32, LAYERS),
        entry("llama.feed_forward_length", U32, INNER),
        entry("llama.attention.head_count", U32, HEADS),
        entry("llama.attention.head_count_kv", U32, KV_HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        entry("llama.rope.dimension_count", U32, WIDTH // HEADS),
        entry("llama.vocab_size", U32, len(vocab)),
        entry("tokenizer.ggml.model", STRING, "llama"),
        entries("tokenizer.ggml.tokens", STRING, [t[0] for t in vocab]),
        entries("tokenizer.ggml.scores", F32, [t[1] for t in vocab]),
        entries("tokenizer.ggml.token_type", I32, [t[2] for t in vocab]),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 2),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
        entry("tokenizer.ggml.add_bos_token", BOOL, True),
        entry("tokenizer.chat_template", STRING, TEMPLATE),
    ]
    tensors = [("token_embd.weight", [WIDTH, len(vocab)]), ("output_norm.weight", [WIDTH]),
               ("output.weight", [WIDTH, len(vocab)])]
    for layer in range(LAYERS):
        tensors += [(f"blk.{layer}.{name}.weight", shape) for name, shape in (
            ("attn_norm", [WIDTH]), ("attn_q", [WIDTH, WIDTH]), ("attn_k", [WIDTH, kv_width]),
            ("attn_v", [WIDTH, kv_width]), ("attn_output", [WIDTH, WIDTH]), ("ffn_norm", [WIDTH]),
            ("ffn_gate", [WIDTH, INNER]), ("ffn_up", [WIDTH, INNER]), ("ffn_down", [INNER, WIDTH]))]
    infos, data = b"", b""
    for name, shape in tensors:
        count = 1
        for size in shape:
            count *= size
        infos += text(name) + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", size) for size in shape)
        infos += struct.pack("<IQ", 0, len(data))  # 0 = float32
        values = [1.0] * count if len(shape) == 1 else (rng.gauss(0, 0.3) for _ in range(count))
        block = array("f", values).tobytes()
        data += block + b"\0" * (-len(block) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)) + b"".join(meta) + infos
    with open(sys.argv[1], "wb") as out:
        out.write(head + b"\0" * (-len(head) % 32) + data)


main()
