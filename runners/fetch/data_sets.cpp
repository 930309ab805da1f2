#include "runners/fetch/data_sets.h"

#include <array>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"

namespace ds4::runners::fetch {
namespace {

// A path of plain names: letters, digits, `.`, `_` and `-`, none of them beginning with a dot.
bool stays_inside(const std::string& name) {
  bool begins = true;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool plain = letter || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    if (begins ? !plain || c == '.' : !plain && c != '/') return false;
    begins = c == '/';
  }
  return !begins;
}

FileState state_of(const suites::Dataset& set, const suites::DatasetFile& file,
                   const std::filesystem::path& folder) {
  if (!stays_inside(set.name) || !stays_inside(file.name)) {
    throw Error(ErrorCode::kProfile,
                "data set `" + set.name + "`: no file may be called `" + file.name + "`",
                "Names are letters, digits, `.`, `_`, `-` and `/` between folders.");
  }
  FileState state{&set, &file, folder / set.name / file.name, FileState::kMissing, 0};
  std::error_code error;
  if (std::filesystem::is_regular_file(state.path, error)) {
    state.bytes = static_cast<int64_t>(std::filesystem::file_size(state.path));
    const bool right =
        state.bytes == file.bytes && sha256_hex(read_file(state.path)) == file.sha256;
    state.kind = right ? FileState::kRight : FileState::kOther;
  } else if (const auto part = state.path.string() + ".part";
             std::filesystem::is_regular_file(part, error)) {
    state.bytes = static_cast<int64_t>(std::filesystem::file_size(part));
    state.kind = FileState::kHalf;
  }
  return state;
}

}  // namespace

std::vector<FileState> states_of(const std::vector<const suites::Dataset*>& sets,
                                 const std::filesystem::path& folder) {
  std::vector<FileState> states;
  for (const suites::Dataset* set : sets) {
    for (const suites::DatasetFile& file : set->files) {
      states.push_back(state_of(*set, file, folder));
    }
  }
  return states;
}

std::string url_of(const FileState& state, const std::string& mirror) {
  if (mirror.empty()) return state.set->url + state.file->name;
  return mirror + (mirror.ends_with('/') ? "" : "/") + state.name();
}

const char* name_of(FileState::Kind kind) {
  constexpr std::array kNames = {"missing", "half", "other", "right"};
  return kNames[kind];
}

}  // namespace ds4::runners::fetch
