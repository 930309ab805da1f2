#include "runners/regrade.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "reports/stats/stats.h"

namespace ds4::runners {
namespace {

std::string fixed(double value, const char* format = "%.3f") {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string count(int64_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string quoted(const std::string& text) {
  return text.empty() ? "nothing" : "\"" + text + "\"";
}

// "then -> now", or once when they are equal.
std::string turn(const std::string& then, const std::string& now) {
  return then == now ? now : then + " -> " + now;
}

std::string changed_values(const ChangedGrade& change) {
  std::string out;
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [name, value] : change.then.values) both[name].first = fixed(value, "%.3g");
  for (const auto& [name, value] : change.now.values) both[name].second = fixed(value, "%.3g");
  for (const auto& [name, values] : both) {
    const auto& [then, now] = values;
    if (then == now) continue;
    out += ", " + name + " " + turn(then.empty() ? "none" : then, now.empty() ? "none" : now);
  }
  return out;
}

std::string case_text(const ChangedGrade& change) {
  const std::string repeat = change.number > 1 ? " #" + std::to_string(change.number) : "";
  std::string out = change.suite + " " + change.case_id + repeat + " (" + change.cell +
                    "): " + turn(change.then.grade, change.now.grade) + changed_values(change) +
                    "\n";
  out += "  took " + turn(quoted(change.then.extracted), quoted(change.now.extracted)) + "\n";
  return out + "  " + change.now.explanation + "\n";
}

// The versions that graded before, where they are others than today's.
std::string version_text(const SuiteRegrade& suite) {
  std::string out;
  for (const auto& [version, n] : suite.graded_by) {
    if (version == suite.version) continue;
    out += (out.empty() ? "" : ", ") + std::to_string(n) +
           (version == 0 ? " had no grading" : " graded by version " + std::to_string(version));
  }
  return out;
}

std::string suite_text(const std::string& name, const SuiteRegrade& suite) {
  std::string out;
  const std::string versions = version_text(suite);
  if (!versions.empty()) {
    out += name + ": version " + std::to_string(suite.version) + " of the suite; " + versions +
           ". The questions are those of then.\n";
  }
  const PairedChange& change = suite.change;
  if (suite.turned.empty() && change.rose + change.fell == 0) return out;
  out += name + ":";
  const char* before = " ";
  for (const auto& [what, n] : suite.turned) {
    out += before + std::to_string(n) + " " + what;
    before = ", ";
  }
  if (change.n > 0) {
    const auto n = static_cast<double>(change.n);
    const double sum = change.now - change.then;
    const reports::Interval interval =
        reports::paired_difference_interval(sum, change.squares, change.n);
    out += before + suite.headline + " " + fixed(change.then / n) + " -> " + fixed(change.now / n) +
           " over " + count(change.n, "answer") + " (" + std::to_string(change.rose) + " rose, " +
           std::to_string(change.fell) + " fell; change " + fixed(sum / n, "%+.3f") + ", 95 % " +
           fixed(interval.lo, "%+.3f") + " to " + fixed(interval.hi, "%+.3f") + ")";
  }
  return out + "\n";
}

void note_pair(PairedChange& change, const reports::ScoreRow& then, const reports::ScoreRow& now,
               const std::string& headline) {
  const auto before = then.values.find(headline), after = now.values.find(headline);
  if (before == then.values.end() || after == now.values.end()) return;
  const double difference = after->second - before->second;
  ++change.n;
  change.then += before->second;
  change.now += after->second;
  change.squares += difference * difference;
  change.rose += difference > 0 ? 1 : 0;
  change.fell += difference < 0 ? 1 : 0;
}

nlohmann::json score_json(const reports::ScoreRow& score) {
  return {{"version", score.suite_version},
          {"grade", score.grade},
          {"values", score.values},
          {"extracted", score.extracted},
          {"explanation", score.explanation}};
}

}  // namespace

bool note_regrade(Regrading& regrading, const reports::StoredAttempt& attempt,
                  const reports::ScoreRow& score, const std::string& headline) {
  reports::ScoreRow ungraded;
  ungraded.grade = "no grading";
  const reports::ScoreRow then = attempt.score.value_or(ungraded);
  SuiteRegrade& suite = regrading.suites[attempt.suite];
  suite.version = score.suite_version;
  suite.headline = headline;
  ++suite.graded_by[then.suite_version];
  ++regrading.graded;
  note_pair(suite.change, then, score, headline);
  if (then.grade != score.grade) ++suite.turned[then.grade + " -> " + score.grade];
  if (then.grade == score.grade && then.values == score.values &&
      then.extracted == score.extracted) {
    return then.suite_version != score.suite_version;
  }
  ++regrading.changed;
  regrading.cases.push_back(
      {attempt.cell_key, attempt.suite, attempt.case_id, attempt.number, then, score});
  return true;
}

std::string to_text(const Regrading& regrading, size_t most_cases) {
  std::string out;
  for (size_t i = 0; i < regrading.cases.size() && i < most_cases; ++i) {
    out += case_text(regrading.cases[i]);
  }
  if (regrading.cases.size() > most_cases) {
    out += "and " + count(static_cast<int64_t>(regrading.cases.size() - most_cases), "more case") +
           "; --all shows them\n";
  }
  if (!out.empty()) out += "\n";
  for (const auto& [name, suite] : regrading.suites) out += suite_text(name, suite);
  for (const auto& [name, n] : regrading.unknown) {
    out += name + ": not in this build; " + count(n, "answer") + " kept as graded\n";
  }
  return out + std::to_string(regrading.graded) + " answers graded, " +
         std::to_string(regrading.changed) + " with another result than before\n";
}

std::string to_json(const Regrading& regrading) {
  nlohmann::json suites = nlohmann::json::array(), cases = nlohmann::json::array();
  for (const auto& [name, suite] : regrading.suites) {
    nlohmann::json graded_by = nlohmann::json::object();
    for (const auto& [version, n] : suite.graded_by) graded_by[std::to_string(version)] = n;
    const PairedChange& change = suite.change;
    nlohmann::json paired = {{"n", change.n}, {"rose", change.rose}, {"fell", change.fell}};
    if (change.n > 0) {
      const auto n = static_cast<double>(change.n);
      const double sum = change.now - change.then;
      const auto interval = reports::paired_difference_interval(sum, change.squares, change.n);
      paired.update({{"then", change.then / n},
                     {"now", change.now / n},
                     {"change", sum / n},
                     {"interval", {interval.lo, interval.hi}}});
    }
    suites.push_back({{"suite", name},
                      {"version", suite.version},
                      {"graded_by", graded_by},
                      {"turned", suite.turned},
                      {"score", suite.headline},
                      {"paired", paired}});
  }
  for (const ChangedGrade& change : regrading.cases) {
    cases.push_back({{"cell", change.cell},
                     {"suite", change.suite},
                     {"case", change.case_id},
                     {"number", change.number},
                     {"then", score_json(change.then)},
                     {"now", score_json(change.now)}});
  }
  return nlohmann::json{{"schema", 1},
                        {"graded", regrading.graded},
                        {"changed", regrading.changed},
                        {"unknown", regrading.unknown},
                        {"suites", suites},
                        {"cases", cases}}
             .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace ds4::runners
