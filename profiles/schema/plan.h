// A profile expanded: the cells of a sweep, each with a stable key.
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/profile.h"

namespace ds4::profiles {

/// One point of the sweep; run in a process of its own.
struct Cell {
  std::string key;    // first 16 hex digits of the sha256 of `semantics`
  std::string label;  // "kv_dtype=bf16 prefill_chunk=128"; "default" without a sweep
  /// Canonical JSON of everything that decides what is measured: target, engine settings, suites
  /// with version, parameters and seeds, the checkpoint's name. Without machine, commit, paths or
  /// time limits.
  std::string semantics;
  Profile profile;               // with this cell's axis values applied and no axes left
  std::vector<int> choice = {};  // which value of each axis it has
};

/// What a condition of `sweep.exclude` left out.
struct Exclusion {
  std::string condition;
  int cells = 0;  // points at which it was the first to hold
};

struct Plan {
  Profile profile;
  std::vector<Cell> cells;               // in sweep order: the first axis varies slowest
  std::vector<Exclusion> excluded = {};  // one per condition
};

/// Expands the sweep. Throws Error(kProfile) for an axis value that does not validate, for two
/// cells that would measure the same, for more than 10,000 and for none.
Plan make_plan(const Profile& profile);

/// A cell as JSON text and back: how the supervisor hands it to its worker.
std::string cell_to_json(const Cell& cell);
Cell cell_from_json(std::string_view json);

}  // namespace ds4::profiles
