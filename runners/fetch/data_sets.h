// Published data sets (suites/common/datasets.json) brought to the folder that suites read: which
// files are there and right, and the others downloaded.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runners/fetch/download.h"
#include "suites/common/datasets.h"

namespace ds4::runners::fetch {

/// A file's place in a data set, and what lies there.
struct FileState {
  enum Kind { kMissing, kHalf, kOther, kRight };  // kOther: not the published bytes

  const suites::Dataset* set = nullptr;
  const suites::DatasetFile* file = nullptr;
  std::filesystem::path path;
  Kind kind = kMissing;
  int64_t bytes = 0;  // that lie there

  std::string name() const { return set->name + "/" + file->name; }
};

/// The state of all files of these sets below `folder`; those that are there are read and hashed.
/// Throws Error(kProfile) for a file name that would leave the folder.
std::vector<FileState> states_of(const std::vector<const suites::Dataset*>& sets,
                                 const std::filesystem::path& folder);

/// Where a file is downloaded from: the address the set names, or MIRROR/SET/FILE.
std::string url_of(const FileState& state, const std::string& mirror);

/// What a file's state is called: "missing", "half", "other", "right".
const char* name_of(FileState::Kind kind);

}  // namespace ds4::runners::fetch
