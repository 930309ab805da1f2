#include "engine/base/cache_folder.h"

#include <cstdlib>

#include "engine/base/error.h"

namespace ds4 {
namespace fs = std::filesystem;

fs::path cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') {
    return fs::path(cache) / "ds4-sweep";
  }
  if (const char* home = std::getenv("HOME"); home && *home) {
    return fs::path(home) / ".cache" / "ds4-sweep";
  }
  throw Error(ErrorCode::kMachine, "no place for cached checkpoints: HOME is not set",
              "Set XDG_CACHE_HOME to a folder for them.");
}

}  // namespace ds4
