// The answers of a recorded run, as the target `replay` gives them again: read from a store once,
// found by case or by prompt.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runners/targets/target.h"

namespace ds4::runners {

/// What was said and what came, of one turn.
struct RecordedTurn {
  std::vector<ds4::Message> said;  // after the turn before; none of the first, which has `prompt`
  Response response;               // with its own times
};

struct RecordedCase {
  std::string name;    // "suite/case id"
  std::string prompt;  // as prompt_text() has it
  std::vector<RecordedTurn> turns;
};

class Recording {
 public:
  /// `where` is "FILE" (its latest run), "FILE@RUN" (a run as `report` takes it) or
  /// "FILE@RUN@CELL" (the beginning of a cell's key). Throws Error(kProfile) when there is no such
  /// thing, when the run has several cells with answers and none is named, and for a run without
  /// any.
  explicit Recording(const std::string& where);

  /// The newest answer that was recorded for a case, or null.
  const RecordedCase* by_name(const std::string& name) const;
  const RecordedCase* by_prompt(const std::string& prompt) const;

  size_t size() const { return cases_.size(); }
  /// "run 1a2b3c4d, cell ...", for people.
  const std::string& description() const { return description_; }
  /// What the recorded target could, as to_json() wrote it; "" when it was not told.
  const std::string& target() const { return target_; }

 private:
  std::vector<RecordedCase> cases_;
  std::map<std::string, size_t> by_name_, by_prompt_;
  std::string description_, target_;
};

}  // namespace ds4::runners
