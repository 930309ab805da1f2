#include "engine/selftest/micro_models.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "engine/base/error.h"
#include "engine/base/files.h"

namespace ds4::selftest {
namespace fs = std::filesystem;

/// Files, each a line "NAME BYTES" and that many bytes.
extern const std::string_view micro_models_bundle;

MicroModels::MicroModels() {
  std::string name = (fs::temp_directory_path() / "ds4-selftest-XXXXXX").string();
  if (!::mkdtemp(name.data())) {
    throw Error(ErrorCode::kIo, name + ": cannot be made: " + std::strerror(errno),
                "Set TMPDIR to a folder with 2 MiB of room.");
  }
  folder_ = name;
  fs::create_directory(scratch());
  std::string_view rest = micro_models_bundle;
  while (!rest.empty()) {
    const size_t blank = rest.find(' ');
    const size_t line = rest.find('\n');
    const fs::path path = folder_ / rest.substr(0, blank);
    const auto bytes = std::stoull(std::string(rest.substr(blank + 1, line - blank - 1)));
    make_folders(path.parent_path());
    std::ofstream file(path, std::ios::binary);  // no fsync: nobody reads these after a crash
    file << rest.substr(line + 1, bytes);
    if (!file.flush()) {
      throw Error(ErrorCode::kIo, path.string() + ": cannot be written",
                  "Set TMPDIR to a folder with 2 MiB of room.");
    }
    rest.remove_prefix(line + 1 + bytes);
  }
}

MicroModels::~MicroModels() {
  std::error_code ignored;  // a folder left in TMPDIR harms nobody
  fs::remove_all(folder_, ignored);
}

}  // namespace ds4::selftest
