"""Writes vectors/ops: inputs and expected outputs of every operation of the forward pass, and their manifest."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from cases import attention, basic, book, drafts, mixing, moe  # noqa: E402


def main():
    vectors = book.Book()
    for module in (basic, mixing, attention, moe, drafts):
        module.add_all(vectors)
    total = vectors.write(os.path.join(HERE, "vectors", "ops"))
    print(f"{len(vectors.cases)} cases, {len(vectors.files)} operations, {total} bytes")


if __name__ == "__main__":
    main()
