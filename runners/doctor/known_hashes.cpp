#include "runners/doctor/known_hashes.h"

#include <algorithm>
#include <sstream>

#include "engine/base/error.h"
#include "engine/base/files.h"

namespace ds4::runners::doctor {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = int64_t{1} << 20;
constexpr size_t kDigits = 64;

std::string text_of(const fs::path& file) {
  try {
    return read_file(file, kMostBytes);
  } catch (const Error&) {  // absent, most often
    return "";
  }
}

// `text` in lower case when it is a sha256, else "".
std::string as_sha256(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool hash =
      text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hash ? text : "";
}

}  // namespace

std::string known_sha256(const fs::path& file) {
  const std::string name = file.filename().string();
  std::istringstream sums(text_of(file.parent_path() / "SHA256SUMS"));
  for (std::string line; std::getline(sums, line);) {
    // "HASH  NAME", or "HASH *NAME" of bytes.
    if (line.size() != kDigits + 2 + name.size() || line.substr(kDigits + 2) != name) continue;
    if (const std::string hash = as_sha256(line.substr(0, kDigits)); !hash.empty()) return hash;
  }
  // Three lines: commit, etag, time. The etag of a large file is its sha256.
  std::istringstream download(
      text_of(file.parent_path() / ".cache/huggingface/download" / (name + ".metadata")));
  std::string commit, etag;
  std::getline(download, commit);
  std::getline(download, etag);
  return as_sha256(etag);
}

}  // namespace ds4::runners::doctor
