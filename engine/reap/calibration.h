// Calibration text, document by document: *.jsonl holds one {"text": ...} per line, any other file
// is plain text in blocks of whole lines. Knows nothing of tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "engine/base/files.h"

namespace ds4::reap {

struct Document {
  std::string text;
  int64_t end = 0;  // where the next one begins, in bytes of the file
};

class CalibrationFile {
 public:
  explicit CalibrationFile(const std::filesystem::path& path);

  int64_t bytes() const { return static_cast<int64_t>(file_.bytes().size()); }
  std::string sha256() const;
  /// The document that begins at `offset` (0 or some document's end), or nothing at the end of the
  /// file. Throws Error(kUsage) naming file and line.
  std::optional<Document> read(int64_t offset) const;

 private:
  std::filesystem::path path_;
  bool json_lines_ = false;
  MappedFile file_;
};

}  // namespace ds4::reap
