"""What marks.py makes of breakdowns: shares, bounds in both directions, and rows without figures."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

MARKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "marks.py")
GIB = 2**30


def breakdown(context, step_s, prompt_s, device_gib):
    operations = [{"name": "project wq_b", "weight_bytes": 10e9, "bytes": 10.5e9},
                  {"name": "attend, all rows", "weight_bytes": 0, "bytes": 2e9}]
    planned = {"weights": 90 * GIB, "raw KV": GIB, "compressed KV": GIB, "indexer keys": GIB, "activations": 2 * GIB}
    return {"checkpoint": "synthetic:k160", "context": context, "read_rate": 4e12, "prompt_tokens": context,
            "prompt_s": prompt_s, "generated_tokens": 256, "generated_s": 4.0,
            "memory": {"device_bytes": device_gib * GIB, "planned_bytes": 95 * GIB, "planned": planned},
            "decode": {"seconds": step_s, "launches": 1000, "gpu_busy": 0.95, "operations": operations}}


class Marks(unittest.TestCase):

    def run_marks(self, short, long, load=None):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, content in (("short", short and json.dumps(short)), ("long", long and json.dumps(long)),
                                  ("load", load)):
                paths.append(os.path.join(folder, name))
                if content is not None:
                    with open(paths[-1], "w", encoding="utf-8") as file:
                        file.write(content)
            done = subprocess.run([sys.executable, MARKS, "a GPU", *paths], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def line(self, lines, start):
        return next(line for line in lines if line.startswith(start))

    def test_reached_and_missed(self):
        # 12 GB at 4 TB/s are 3 ms: 0.56 of 5.4 ms, 0.4 of 7.5 ms.
        lines = self.run_marks(breakdown(8192, 0.0054, 0.999, 96), breakdown(186000, 0.0075, 50, 98),
                               "noise\nload over direct reads, the best of each: 0.71\n")
        self.assertIn("a GPU", lines[0])
        short = self.line(lines, "decode, share of the read ceiling, behind 8,192")
        self.assertIn("0.556", short)
        self.assertTrue(short.endswith("reached"))
        long = self.line(lines, "decode, share of the read ceiling, behind 186,000")
        self.assertIn("0.400", long)
        self.assertTrue(long.endswith("missed"))
        self.assertTrue(self.line(lines, "a prompt of 8,192").endswith("reached"))
        self.assertTrue(self.line(lines, "prefill to 186,000").endswith("missed"))  # 3,720 tok/s
        memory = self.line(lines, "device memory above")
        self.assertIn("5.00 GiB", memory)
        self.assertTrue(memory.endswith("missed"))
        self.assertTrue(self.line(lines, "planned memory").endswith("missed"))  # 95 of 98
        self.assertTrue(self.line(lines, "load").endswith("reached"))
        self.assertIn("64.0 tok/s", self.line(lines, "256 tokens behind"))

    def test_what_was_not_measured_is_no_pass(self):
        lines = self.run_marks(None, None)
        rows = lines[2:]
        self.assertGreaterEqual(len(rows), 8)
        for row in rows:
            self.assertIn("not measured", row)
            self.assertNotIn("reached", row)


if __name__ == "__main__":
    unittest.main()
