// The random draw of few-shot examples as lm-evaluation-harness makes it: one stream of Python's
// random.Random(seed) through all items.
#pragma once

#include <cstdint>
#include <vector>

namespace ds4::suites {

/// Numbers of the train items that stand before test item `item`: what `random.Random(seed)` gives
/// at the (item + 1)-th call of `sample(range(population), shots)`. `population` is above
/// 21 + 4^ceil(log4(3 * shots)), where Python redraws duplicates instead of shuffling a pool.
/// Source: evals.md 1.2; CPython's Modules/_randommodule.c and Lib/random.py as documented.
std::vector<int64_t> draw_shots(uint32_t seed, int64_t population, int64_t shots, int64_t item);

}  // namespace ds4::suites
