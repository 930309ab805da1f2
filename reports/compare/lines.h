// The lines of a comparison: each a score, time or size of one pair of cells with its test. What
// the tests together mean is decided in comparison.cpp.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "reports/compare/comparison.h"
#include "reports/compare/pairs.h"

namespace ds4::reports {

/// Ids of a suite's cases that a cell of each run answered.
std::set<std::string> shared_cases(const RunData& base, const std::string& base_key,
                                   const RunData& now, const std::string& now_key,
                                   const std::string& suite);

/// Raw values of a metric over the answers to the cases of `shared` whose times count
/// (timed_attempts()), by repeat: the i-th launch that answered a case gives its i-th value. A
/// launch that only finished what an earlier one was interrupted in is no repeat, and goes with
/// that one.
Launches attempt_values(const RunData& run, const std::string& cell_key, const std::string& suite,
                        const std::string& metric, const std::set<std::string>& shared);

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
