#include "reports/compare/pairs.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/base/hash.h"

namespace ds4::reports {
namespace {

using CaseName = std::pair<std::string, std::string>;  // suite, case id

// Moves the cells for which `same` holds from both lists to the pairs.
template <class Same>
void pair_where(std::vector<CellRow>& base, std::vector<CellRow>& now, std::vector<CellPair>& pairs,
                const Same& same) {
  for (auto cell = base.begin(); cell != base.end();) {
    const auto found = std::find_if(now.begin(), now.end(),
                                    [&](const CellRow& other) { return same(*cell, other); });
    if (found == now.end()) {
      ++cell;
      continue;
    }
    pairs.push_back({*cell, *found});
    now.erase(found);
    cell = base.erase(cell);
  }
}

// Hash of each answered case's prompt.
std::map<CaseName, std::string> prompts_of(Store& store, const RunData& run,
                                           const std::string& cell_key) {
  std::map<CaseName, std::string> prompts;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.status != "ok") continue;
    std::string& hash = prompts[{attempt.suite, attempt.case_id}];
    if (!hash.empty()) continue;  // a repeat asks the same
    StoredAttempt with_texts = attempt;
    store.load_texts(with_texts);
    hash = sha256_hex(with_texts.prompt);
  }
  return prompts;
}

// Suite -> version of the scorer that graded it last.
std::map<std::string, int> scorers_of(const RunData& run, const std::string& cell_key) {
  std::map<std::string, int> versions;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.score) versions[attempt.suite] = attempt.score->suite_version;
  }
  return versions;
}

void drop(RunData& run, const std::string& cell_key, const std::set<std::string>& suites,
          const std::set<CaseName>& cases) {
  if (suites.empty() && cases.empty()) return;
  run.attempts.erase_if([&](const StoredAttempt& attempt) {
    return attempt.cell_key == cell_key &&
           (suites.contains(attempt.suite) || cases.contains({attempt.suite, attempt.case_id}));
  });
}

}  // namespace

std::vector<CellPair> pair_cells(const RunData& base, const RunData& now,
                                 std::vector<std::string>& unpaired) {
  std::vector<CellRow> before = base.cells, after = now.cells;
  std::vector<CellPair> pairs;
  pair_where(before, after, pairs, [](const auto& a, const auto& b) { return a.key == b.key; });
  pair_where(before, after, pairs, [](const auto& a, const auto& b) { return a.label == b.label; });
  if (before.size() == 1 && after.size() == 1) {
    pair_where(before, after, pairs, [](const auto&, const auto&) { return true; });
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const CellPair& a, const CellPair& b) { return a.now.ordinal < b.now.ordinal; });
  for (const CellRow& cell : before) unpaired.push_back("cell " + cell.label + ": only in base");
  for (const CellRow& cell : after) unpaired.push_back("cell " + cell.label + ": only in new");
  return pairs;
}

void keep_comparable(Store& base_store, RunData& base, Store& now_store, RunData& now,
                     const std::vector<CellPair>& pairs, std::vector<std::string>& unpaired) {
  for (const CellPair& pair : pairs) {
    std::set<std::string> suites;
    const auto scorers = scorers_of(base, pair.base.key);
    for (const auto& [suite, version] : scorers_of(now, pair.now.key)) {
      const auto found = scorers.find(suite);
      if (found == scorers.end() || found->second == version) continue;
      suites.insert(suite);
      unpaired.push_back(suite + ": graded by version " + std::to_string(found->second) + " and " +
                         std::to_string(version) + " of the suite; `rescore` the older run");
    }
    std::set<CaseName> cases;
    const auto prompts = prompts_of(base_store, base, pair.base.key);
    for (const auto& [name, hash] : prompts_of(now_store, now, pair.now.key)) {
      const auto found = prompts.find(name);
      if (found == prompts.end() || found->second == hash) continue;
      cases.insert(name);
      unpaired.push_back(name.first + "/" + name.second + ": the prompts differ");
    }
    drop(base, pair.base.key, suites, cases);
    drop(now, pair.now.key, suites, cases);
  }
}

}  // namespace ds4::reports
