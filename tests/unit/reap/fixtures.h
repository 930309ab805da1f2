// A small checkpoint on disk and plans for it. The observation behind a plan is made up: pruning
// must not depend on where scores come from.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/api/reap.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::reap {

/// An observation of TestModel (blocks of 4, 3, 5 and 4 experts) in which expert e of block b has
/// the score (e * 7 + b * 3) % 5 + 1, and the checkpoint's real hashes.
Observation made_up_observation(const std::filesystem::path& checkpoint);

/// TestModel in FOLDER/source, in two shards with an index and a tokenizer beside them, and a plan
/// that keeps `keep` in FOLDER/plan.json.
struct PruneCase {
  weights::TemporaryFolder folder;
  Plan plan;
  PruneOptions options;

  explicit PruneCase(int keep);
  std::filesystem::path partial() const;
};

/// All files below a folder: relative name -> content.
std::map<std::string, std::string> files_of(const std::filesystem::path& folder);

/// "message | hint" of the Error that `action` throws; "" when it throws none.
template <typename Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(error.what()) + " | " + error.hint();
  }
  return "";
}

inline void no_progress(int64_t, int64_t) {}

}  // namespace ds4::reap
