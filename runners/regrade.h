// What grading stored answers again changed: per case what was taken from the answer and how it was
// graded, then and now, and per suite the counts and the paired change. Reads no database.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "reports/store/store.h"

namespace ds4::runners {

/// One answer whose grading is another than before.
struct ChangedGrade {
  std::string cell, suite, case_id;
  int number = 1;  // of the attempt, as in the store
  reports::ScoreRow then, now;
};

/// The headline score of a suite, then and now, over the answers that have it in both gradings.
struct PairedChange {
  int64_t n = 0;
  double then = 0, now = 0;  // sums
  double squares = 0;        // of the differences
  int64_t rose = 0, fell = 0;
};

struct SuiteRegrade {
  int version = 0;                        // of this build
  std::map<int, int64_t> graded_by;       // version -> answers it had graded; 0 = no grading
  std::map<std::string, int64_t> turned;  // "wrong -> correct" -> answers
  std::string headline;
  PairedChange change;
};

struct Regrading {
  int64_t graded = 0;
  int64_t changed = 0;                     // grade, a score or what was extracted
  std::map<std::string, int64_t> unknown;  // suites this build does not have -> answers
  std::map<std::string, SuiteRegrade> suites;
  std::vector<ChangedGrade> cases;
};

/// Adds one answer. `score` is today's grading of it; true when it is to be stored: another result,
/// or another version of the suite.
bool note_regrade(Regrading& regrading, const reports::StoredAttempt& attempt,
                  const reports::ScoreRow& score, const std::string& headline);

/// For a reader, at most `most_cases` cases; the last line is the sum of all.
std::string to_text(const Regrading& regrading, size_t most_cases);

/// The same, whole: docs/schema.md.
std::string to_json(const Regrading& regrading);

}  // namespace ds4::runners
