#include "reports/compare/traces.h"

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "ds4-traces-1";

// The first answer to each case of a cell's suite that has a trace, by the case's name.
std::map<std::string, const StoredAttempt*> traced(const RunData& run, const std::string& cell,
                                                   const std::string& suite) {
  std::map<std::string, const StoredAttempt*> found;
  for (const StoredAttempt& attempt : run.attempts.of(cell)) {
    if (attempt.suite != suite || attempt.status != "ok") continue;
    if (attempt.has_trace) found.emplace(attempt.case_id, &attempt);
  }
  return found;
}

Trace load(Store& store, const StoredAttempt& attempt) {
  return trace_from_json(store.trace(attempt.id),
                         "the trace of attempt " + std::to_string(attempt.id));
}

// A line of a file of traces.
struct FileTrace {
  std::string prompt_sha256;
  Trace trace;
};

struct TraceFile {
  std::string source;
  std::map<std::pair<std::string, std::string>, FileTrace> traces;  // by suite and case
};

TraceFile read_traces(const std::filesystem::path& path) {
  TraceFile file;
  std::istringstream lines(read_file(path));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string place = path.string() + ":" + std::to_string(++number);
    if (line.empty()) continue;
    try {
      const json parsed = json::parse(line);
      if (number == 1) {
        if (parsed.at("format") != kFormat) throw std::out_of_range("another format");
        file.source = parsed.value("source", "");
        continue;
      }
      FileTrace& trace = file.traces[{parsed.at("suite"), parsed.at("case")}];
      trace.prompt_sha256 = parsed.value("prompt_sha256", "");
      if (trace.prompt_sha256.empty() && parsed.contains("prompt")) {
        trace.prompt_sha256 = sha256_hex(parsed.at("prompt").get<std::string>());
      }
      trace.trace = trace_from_json(parsed.at("trace").dump(), place);
    } catch (const std::exception& e) {
      if (dynamic_cast<const Error*>(&e)) throw;
      throw Error(ErrorCode::kIo, place + ": no line of a file of traces: " + e.what(),
                  "`ds4-sweep traces RUN -o FILE` writes one; docs/traces.md describes it.");
    }
  }
  if (number == 0) {
    throw Error(ErrorCode::kIo, path.string() + ": empty", "Name a file of traces.");
  }
  return file;
}

}  // namespace

std::vector<TraceChange> compare_stored_traces(Store& base_store, const RunData& base,
                                               Store& now_store, const RunData& now,
                                               const std::vector<CellPair>& pairs) {
  std::vector<TraceChange> changes;
  for (const CellPair& pair : pairs) {
    for (const std::string& suite : suites_of(now, pair.now.key)) {
      const auto before = traced(base, pair.base.key, suite);
      TraceSummaryBuilder builder;
      for (const auto& [case_id, attempt] : traced(now, pair.now.key, suite)) {
        const auto found = before.find(case_id);
        if (found == before.end()) continue;
        builder.add(case_id,
                    compare_traces(load(base_store, *found->second), load(now_store, *attempt)));
      }
      if (!builder.empty()) changes.push_back({pair.label(), suite, builder.take()});
    }
  }
  return changes;
}

int64_t write_traces(Store& store, const std::string& run_id, const std::filesystem::path& file) {
  const RunData run = load_run(store, run_id, false);
  std::string text = json{{"format", kFormat},
                          {"source", "run " + run.run.id},
                          {"checkpoint_identity", run.run.checkpoint_identity}}
                         .dump() +
                     "\n";
  int64_t n = 0;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.status != "ok" || !attempt.has_trace) continue;
    StoredAttempt with_texts = attempt;
    store.load_texts(with_texts);
    text += json{{"cell", attempt.cell_key},
                 {"suite", attempt.suite},
                 {"case", attempt.case_id},
                 {"prompt", with_texts.prompt},
                 {"trace", json::parse(store.trace(attempt.id))}}
                .dump() +
            "\n";
    ++n;
  }
  if (n == 0) {
    throw Error(ErrorCode::kUsage, "run " + run.run.id + " has no traces",
                "Measure the suite `logits`; docs/traces.md says what a trace is.");
  }
  write_file_atomic(file, text);
  return n;
}

TraceFileComparison compare_with_trace_file(const std::filesystem::path& path, Store& store,
                                            const std::string& run_id) {
  const TraceFile file = read_traces(path);
  const RunData run = load_run(store, run_id, false);
  TraceFileComparison result;
  result.file = path.string();
  result.source = file.source;
  result.now = run.run;
  for (const CellRow& cell : run.cells) {
    for (const std::string& suite : suites_of(run, cell.key)) {
      TraceSummaryBuilder builder;
      for (const auto& [case_id, attempt] : traced(run, cell.key, suite)) {
        const auto found = file.traces.find({suite, case_id});
        if (found == file.traces.end()) continue;
        StoredAttempt with_texts = *attempt;
        store.load_texts(with_texts);
        const std::string& hash = found->second.prompt_sha256;
        if (!hash.empty() && hash != sha256_hex(with_texts.prompt)) {
          result.not_compared.push_back(suite + "/" + case_id + ": the prompts differ");
          continue;
        }
        builder.add(case_id, compare_traces(found->second.trace, load(store, *attempt)));
      }
      if (!builder.empty()) result.traces.push_back({cell.label, suite, builder.take()});
    }
  }
  if (result.traces.empty()) {
    throw Error(ErrorCode::kUsage,
                path.string() + " and run " + run.run.id + " share no case with a trace" +
                    (result.not_compared.empty() ? "" : "; " + result.not_compared.front()),
                "Measure the suite and the parameters that the file is from.");
  }
  return result;
}

}  // namespace ds4::reports
