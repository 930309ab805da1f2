// Published data sets that suites ask from and that the program does not bring: where each comes
// from, which bytes it has, and where its files lie on this machine. Fetching them is the business
// of `ds4-sweep fetch`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

struct DatasetFile {
  std::string name;  // below the data set's folder
  int64_t bytes = 0;
  std::string sha256;
};

struct Dataset {
  std::string name;
  std::string licence;
  std::string origin;
  std::string url;  // a file's name is appended
  std::vector<DatasetFile> files;
};

/// All of suites/common/datasets.json, by name.
const std::vector<Dataset>& datasets();

/// The data set of that name; one that does not exist is a bug of the caller.
const Dataset& dataset(std::string_view name);

/// The folder above all data sets: $DS4_SWEEP_DATA (set by --data), else
/// $XDG_DATA_HOME/ds4-sweep, else ~/.local/share/ds4-sweep.
std::filesystem::path dataset_folder();

/// The bytes of a file, read once per process, whose hash is right. Throws Error(kProfile) with the
/// command that fetches it when it is not there, and when it is another file than the published
/// one.
const std::string& dataset_text(std::string_view name, std::string_view file);

}  // namespace ds4::suites
