// Rows and temporary folders for the tests of reports/.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "reports/store/store.h"

namespace ds4::reports {

/// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ds4-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline RunRow example_run(const std::string& id) {
  RunRow run;
  run.id = id;
  run.profile_name = "example";
  run.profile_path = "profiles/example.toml";
  run.profile_text = "name = \"example\"\n";
  run.resolved_profile = "{}";
  run.commit = "0123456789abcdef";
  run.dirty = true;
  run.version = "0.1.0";
  run.machine = R"({"cpu":"a cpu","cores":2})";
  run.checkpoint_path = "checkpoints/x";
  run.checkpoint_identity = "feed";
  run.command_line = "ds4-sweep run profiles/example.toml";
  run.started_at = "2026-01-01T00:00:00Z";
  return run;
}

inline CellRow example_cell(const std::string& key, int ordinal) {
  CellRow cell;
  cell.key = key;
  cell.label = "kv_dtype=" + key;
  cell.semantics = "{}";
  cell.settings = "{}";
  cell.ordinal = ordinal;
  cell.cases = {{"needle", "c1", {{"length", "512"}}}, {"needle", "c2", {{"length", "512"}}}};
  return cell;
}

/// A turn after the first that answers `text`.
inline ExchangeRow example_exchange(const std::string& text) {
  ExchangeRow row;
  row.said = {{"tool", "result of " + text, "call_1_1"}};
  row.text = row.content = text;
  row.tool_calls = "[]";
  row.finish_reason = "stop";
  row.prompt_tokens = 120;
  row.completion_tokens = 7;
  row.sent_s = 1.5;
  row.first_token_s = 0.2;
  row.end_s = 0.4;
  row.events = {{0.2, 3}, {0.3, 4}};
  return row;
}

/// An attempt of three tokens: the first after 0.5 s, then one each 0.1 s; 100 prompt tokens.
inline AttemptRow example_attempt(const std::string& cell_key, const std::string& suite,
                                  const std::string& case_id) {
  AttemptRow attempt;
  attempt.cell_key = cell_key;
  attempt.suite = suite;
  attempt.case_id = case_id;
  attempt.suite_version = 1;
  attempt.status = "ok";
  attempt.prompt = "the prompt";
  attempt.expected = R"({"code":"A-1"})";
  attempt.tags = {{"length", "512"}, {"depth", "0.50"}};
  attempt.text = "the answer";
  attempt.content = "the answer";
  attempt.finish_reason = "stop";
  attempt.prompt_tokens = 100;
  attempt.completion_tokens = 3;
  attempt.first_token_s = 0.5;
  attempt.end_s = 0.75;
  attempt.started_at = "2026-01-01T00:00:01Z";
  attempt.events = {{0.5, 1}, {0.6, 1}, {0.7, 1}};
  return attempt;
}

}  // namespace ds4::reports
