"""Cases of formats, quantisers, norms and linears (spec 2.2, 3.0, 3.4 step 2)."""
import numpy as np
import torch

from reference import formats, ops
from reference import safetensors_io as st

from .book import EXACT, STRICT, TRUE, Maker, bf16_check, close, with_true


def add_all(book):
    """Every case of this module."""
    decode_tables(book)
    quantisers(book)
    norms(book)
    linears(book)
    hadamards(book)


def decode_tables(book):
    tables = {"e4m3": formats.E4M3_TABLE, "e2m1": formats.E2M1_TABLE, "e8m0": formats.E8M0_TABLE}
    for name, table in tables.items():
        codes = np.arange(table.size, dtype=np.uint8)
        book.add("decode", name, {"format": name}, {"codes": st.Stored("U8", codes)}, {"y": (st.stored_f32(table), EXACT)})
    codes = np.arange(256, dtype=np.uint8).reshape(2, 128)
    scales = np.array([[127, 120, 0, 140], [1, 254, 130, 126]], dtype=np.uint8)
    # 128 bytes hold 256 columns; four scales would cover 128, so the packed case uses 64 bytes per row.
    packed = codes[:, :64]
    y = formats.dequant_fp4(packed, scales)
    book.add("decode", "fp4_block", {"format": "fp4_block"},
             {"weight": st.Stored("I8", packed.view(np.int8)), "scale": st.Stored("F8_E8M0", scales)},
             {"y": (st.stored_f32(y.float().numpy()), EXACT)})
    maker = Maker(11)
    codes = maker.integers(256, 131, 133).numpy().astype(np.uint8)
    codes[(codes & 127) == 127] = 0
    scales = np.array([[127, 119], [131, 100]], dtype=np.uint8)
    y = formats.dequant_fp8(codes, scales)
    book.add("decode", "fp8_block", {"format": "fp8_block"},
             {"weight": st.Stored("F8_E4M3", codes), "scale": st.Stored("F8_E8M0", scales)},
             {"y": (st.stored_bf16(y.float()), EXACT)})


def edge_rows(width):
    """Rows that sit on the edges of the scale and rounding rules, on the BF16 grid."""
    maker = Maker(5)
    rows = [torch.zeros(width), torch.full((width,), 1e-30), torch.full((width,), 1e-5)]
    for top in (448.0, 450.0, 1.75, 1.0, 6.0, 7.0, 2.0**100, 2.0**-20, 3.0 * 2.0**-126, 0.4375, 3.5 * 2.0**9):
        row = maker.normal(width) * top / 4
        row = torch.clamp(row, -top, top)
        row[width // 2] = top
        rows.append(row)
    # Every midpoint between neighbouring codes with the scale pinned to 1 by an element at the format's limit.
    grid = torch.from_numpy(formats.E4M3_TABLE[:127].copy())
    middle = (grid[1:] + grid[:-1]) / 2
    for start in range(0, middle.numel(), width - 1):
        row = torch.zeros(width)
        part = middle[start:start + width - 1]
        row[:part.numel()] = part * torch.where(torch.arange(part.numel()) % 2 == 0, 1.0, -1.0)
        row[-1] = 448.0
        rows.append(row)
    row = torch.zeros(width)
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, -0.25, -0.75, -1.25, -1.75, -2.5, -3.5, -5.0, 0.2490234375])
    row[:ties.numel()] = ties
    row[-1] = 6.0
    rows.append(row)
    return formats.bf16(torch.stack(rows))


def quantisers(book):
    inputs = {"odd200": Maker(1).heavy(5, 200), "odd72": Maker(2).heavy(4, 72, std=30.0), "short40": Maker(3).heavy(3, 40),
              "real448": Maker(4).heavy(3, 448), "edges": edge_rows(60)}
    for label, x in inputs.items():
        for block in (128, 64):
            q, s, _ = formats.q8(x, block)
            book.add("q8", f"{label}_b{block}", {"block": block}, {"x": st.stored_bf16(x)},
                     {"codes": (st.Stored("F8_E4M3", formats.e4m3_codes(q)), EXACT),
                      "scales": (st.Stored("F8_E8M0", formats.e8m0_codes(s)), EXACT),
                      "y": (st.stored_bf16(formats.sim8(x, block)), EXACT)})
    inputs = {"odd40": Maker(6).heavy(5, 40), "odd72": Maker(7).heavy(3, 72, std=20.0), "short16": Maker(8).heavy(3, 16),
              "real128": Maker(9).heavy(4, 128), "edges": edge_rows(32)}
    for label, x in inputs.items():
        q, s, _ = formats.q4(x)
        book.add("q4", label, {"block": 32}, {"x": st.stored_bf16(x)},
                 {"codes": (st.Stored("U8", formats.e2m1_codes(q)), EXACT),
                  "scales": (st.Stored("F8_E8M0", formats.e8m0_codes(s)), EXACT),
                  "y": (st.stored_bf16(formats.sim4(x)), EXACT)})


def norms(book):
    for seed, (tokens, dim, std) in enumerate([(5, 72, 1.0), (3, 37, 200.0), (2, 1024, 0.01), (4, 40, 1e-4), (1, 512, 3.0)]):
        maker = Maker(100 + seed)
        x, gain = maker.heavy(tokens, dim, std=std), maker.gain(dim)
        strict = ops.rms(STRICT, x, gain)
        book.add("rms", f"{tokens}x{dim}", {"eps": 1e-6}, {"x": st.stored_bf16(x), "gain": st.stored_bf16(gain)},
                 with_true(strict, ops.rms(TRUE, x, gain), bf16_check(strict)))
    for seed, (tokens, heads, dim, std) in enumerate([(4, 3, 40, 1.0), (3, 2, 512, 4.0), (2, 5, 24, 1e-3)]):
        maker = Maker(120 + seed)
        q = maker.heavy(tokens, heads, dim, std=std)
        strict = ops.q_head_norm(STRICT, q)
        # The norm is one number per head: a flipped rounding of the mean moves the whole head by one step.
        check = {"rtol": 2.0**-7, "atol": 0.0, "unequal": 1.0 / heads, "outside": 0.0, "outlier": 0.0}
        book.add("q_head_norm", f"{tokens}x{heads}x{dim}", {"eps": 1e-6}, {"q": st.stored_bf16(q)},
                 with_true(strict, ops.q_head_norm(TRUE, q), check))


def linears(book):
    shapes = [(5, 72, 44), (3, 200, 131), (1, 44, 72), (4, 129, 7), (2, 512, 36)]
    for seed, (tokens, cols, rows) in enumerate(shapes):
        for kind in ("fp8", "fp4", "bf16", "f32"):
            columns = cols + cols % 2 if kind == "fp4" else cols
            maker = Maker(200 + seed)
            x = maker.heavy(tokens, columns, std=3.0)
            linear, tensors = maker.matrix(kind, rows, columns)
            label = f"{tokens}x{columns}x{rows}"
            inputs = {"x": st.stored_bf16(x), **tensors}
            true = linear.exact(TRUE, x)
            if kind != "f32":
                strict = linear(STRICT, x)
                book.add(f"linear_{kind}", label, {}, inputs, with_true(strict, true, bf16_check(strict)))
            if kind in ("bf16", "f32"):
                book.add("linear_wide", f"{label}_{kind}", {}, inputs,
                         {"y": (st.stored_f32(linear.exact(STRICT, x).numpy()), close(2e-6))})


def hadamards(book):
    for seed, (tokens, heads, dim) in enumerate([(3, 2, 16), (2, 3, 128), (2, 1, 64)]):
        x = Maker(300 + seed).heavy(tokens, heads, dim)
        strict = ops.hadamard(STRICT, x)
        book.add("hadamard", f"{tokens}x{heads}x{dim}", {}, {"x": st.stored_bf16(x)},
                 with_true(strict, ops.hadamard(TRUE, x), bf16_check(strict)))


