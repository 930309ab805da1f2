// What every fuzz target shares. A target is a function from bytes to nothing that ends the process
// when a property fails: under libFuzzer (preset fuzz) it is driven by coverage, in the normal test
// build it replays the committed corpus.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace ds4::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process when `holds` is false.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

/// Runs `action`; true when it refused with an Error that says what is wrong. Any other exception
/// goes on and ends the process: hostile input must not reach std::bad_alloc or std::out_of_range.
template <typename Action>
bool refuses(Action action) {
  try {
    action();
    return false;
  } catch (const Error& error) {
    require(!std::string_view(error.what()).empty(), "an error says what is wrong");
    return true;
  }
}

/// A folder in memory where there is one, removed at a normal end.
class Scratch {
 public:
  Scratch() {
    std::string pattern = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    pattern += "/ds4-fuzz-XXXXXX";
    require(mkdtemp(pattern.data()) != nullptr, "a scratch folder can be made");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace ds4::fuzz
