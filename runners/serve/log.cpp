#include "runners/serve/log.h"

#include <cstdio>

#include "engine/base/clock.h"

namespace ds4::runners::serve {
namespace {

constexpr size_t kMostKeys = 1000;  // strangers choose them

}  // namespace

void Log::line(const std::string& text) {
  if (quiet_) return;
  std::string line = utc_now() + "  " + text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Log::once(const std::string& key, const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    if (said_.size() >= kMostKeys || !said_.insert(key).second) return;
  }
  line(text);
}

}  // namespace ds4::runners::serve
