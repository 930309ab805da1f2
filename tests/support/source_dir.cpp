#include "tests/support/source_dir.h"

#include <cstdlib>

namespace ds4::test_support {

std::filesystem::path source_dir() {
  return DS4_SOURCE_DIR;
}

std::optional<std::filesystem::path> shared_path(const std::string& relative) {
  const char* named = std::getenv("DS4_SHARED");
  const auto folder = named != nullptr ? std::filesystem::path(named) : source_dir() / "../shared";
  auto path = folder / relative;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

}  // namespace ds4::test_support
