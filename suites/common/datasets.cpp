#include "suites/common/datasets.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"

namespace ds4::suites {

extern const std::string_view datasets_json;

namespace {

std::vector<Dataset> parse_datasets() {
  std::vector<Dataset> out;
  const auto document = nlohmann::json::parse(datasets_json);
  for (const auto& [name, entry] : document.items()) {
    Dataset set{name, entry.at("licence"), entry.at("origin"), entry.at("url"), {}};
    for (const auto& file : entry.at("files")) {
      set.files.push_back({file.at("name"), file.at("bytes"), file.at("sha256")});
    }
    out.push_back(std::move(set));
  }
  return out;
}

std::string read_checked(const Dataset& set, const DatasetFile& file) {
  const std::filesystem::path path = dataset_folder() / set.name / file.name;
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::kProfile, path.string() + ": the data set " + set.name + " is not there",
                "`ds4-sweep fetch " + set.name +
                    "` brings it; --data DIR takes a folder that has " + set.name + "/" +
                    file.name + ".");
  }
  std::string text = read_file(path, file.bytes + 1);
  if (sha256_hex(text) != file.sha256) {
    throw Error(ErrorCode::kProfile,
                path.string() + ": not the published file: its SHA-256 is " + sha256_hex(text) +
                    ", not " + file.sha256,
                "`ds4-sweep fetch " + set.name + "` replaces it.");
  }
  return text;
}

}  // namespace

const std::vector<Dataset>& datasets() {
  static const std::vector<Dataset> sets = parse_datasets();
  return sets;
}

const Dataset& dataset(std::string_view name) {
  const auto found = std::ranges::find(datasets(), name, &Dataset::name);
  DS4_CHECK(found != datasets().end());
  return *found;
}

std::filesystem::path dataset_folder() {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  if (const auto folder = set("DS4_SWEEP_DATA"); !folder.empty()) return folder;
  if (const auto folder = set("XDG_DATA_HOME"); !folder.empty()) return folder / "ds4-sweep";
  return set("HOME") / ".local/share/ds4-sweep";
}

const std::string& dataset_text(std::string_view name, std::string_view file) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, std::string> texts;
  const Dataset& set = dataset(name);
  const auto found = std::ranges::find(set.files, file, &DatasetFile::name);
  DS4_CHECK(found != set.files.end());
  const std::lock_guard lock(mutex);
  const std::filesystem::path key = dataset_folder() / set.name / found->name;
  const auto known = texts.find(key);
  return known != texts.end() ? known->second
                              : texts.emplace(key, read_checked(set, *found)).first->second;
}

}  // namespace ds4::suites
