"""Builds tokenizer.json (Hugging Face tokenizers format) and tokenizer_config.json for a byte-level BPE.

The pre-tokenizer, decoder and marker strings are those of the real DeepSeek tokenizer; only vocabulary and merges
are the small model's own. Nothing here encodes text: bpe.py does.
"""

MARKERS = [
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜▁pad▁｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
    "｜DSML｜",
]
# The first three are control tokens that detokenisation may skip. The others must survive it: the chat parser reads them.
N_CONTROL = 3

SPLITS = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]


def byte_characters():
    """The printable character that stands for each byte in vocabulary strings (model.md 6.1, step 5)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, moved = {byte: chr(byte) for byte in kept}, 0
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + moved)
            moved += 1
    return table


def build(merges):
    """tokenizer.json as a dict. `merges`: pairs of bytes objects, best first.

    Ids: the markers, then the 256 bytes in order, then one id per merge.
    """
    table = byte_characters()
    mapped = lambda raw: "".join(table[byte] for byte in raw)
    vocab = {marker: index for index, marker in enumerate(MARKERS)}
    for text in [*(mapped([byte]) for byte in range(256)), *(mapped(a + b) for a, b in merges)]:
        if text in vocab:
            raise ValueError(f"token {text!r} is made by two merges; its id would be ambiguous")
        vocab[text] = len(vocab)
    added = [
        {
            "id": index,
            "content": marker,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": index >= N_CONTROL,
            "special": index < N_CONTROL,
        }
        for index, marker in enumerate(MARKERS)
    ]
    split = lambda regex: {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    level = lambda **fields: {"type": "ByteLevel", **fields}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                *map(split, SPLITS),
                level(add_prefix_space=False, trim_offsets=True, use_regex=False),
            ],
        },
        "post_processor": level(add_prefix_space=True, trim_offsets=False, use_regex=True),
        "decoder": level(add_prefix_space=True, trim_offsets=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": [f"{mapped(a)} {mapped(b)}" for a, b in merges],
        },
    }


def build_config(max_positions):
    """tokenizer_config.json as a dict. BOS is written by the chat encoder as text, never by the tokenizer."""
    token = lambda index: {
        "__type": "AddedToken",
        "content": MARKERS[index],
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
    }
    return {
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": token(0),
        "clean_up_tokenization_spaces": False,
        "eos_token": token(1),
        "model_max_length": max_positions,
        "pad_token": token(2),
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
