// The lines of a comparison: each a score, time or size of one pair of cells with its test. What
// the tests together mean is decided in comparison.cpp.
#pragma once

#include "reports/compare/comparison.h"
#include "reports/compare/pairs.h"

namespace ds4::reports {

/// The scores of a suite, case by case; the first of `scores` is its headline.
void add_scores(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair,
                const std::string& suite, const std::vector<std::string>& scores);

/// The times of a suite's answers, over the cases that both runs answered; names the other cases.
/// Returns how many both answered.
size_t add_suite(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair,
                 const std::string& suite);

/// Times and sizes of the workers.
void add_launches(Comparison& result, const RunData& base, const RunData& now,
                  const CellPair& pair);

}  // namespace ds4::reports
