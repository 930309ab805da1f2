#include "engine/reap/calibration.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"

namespace ds4::reap {
namespace {

// Plain text: a document ends at the first line end behind kBlock bytes, at the latest at kMost.
constexpr size_t kBlock = 16 << 10;
constexpr size_t kMost = 64 << 10;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

CalibrationFile::CalibrationFile(const std::filesystem::path& path)
    : path_(path), json_lines_(path.extension() == ".jsonl"), file_(path) {
  if (file_.bytes().empty()) {
    throw Error(ErrorCode::kUsage, path.string() + ": is empty",
                "Give calibration text: plain, or *.jsonl with one {\"text\": ...} per line.");
  }
}

std::string CalibrationFile::sha256() const {
  Sha256 hash;
  read_pieces(file_.bytes(), [&](std::string_view piece) { hash.update(piece); });
  return hash.hex();
}

std::optional<Document> CalibrationFile::read(int64_t offset) const {
  const std::string_view rest = text_of(file_).substr(static_cast<size_t>(offset));
  if (rest.empty()) return std::nullopt;
  if (!json_lines_) {
    size_t size = rest.find('\n', std::min(kBlock, rest.size()));
    size = std::min({size == std::string_view::npos ? rest.size() : size + 1, kMost, rest.size()});
    return Document{std::string(rest.substr(0, size)), offset + static_cast<int64_t>(size)};
  }
  const size_t line_end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, line_end);
  const int64_t end = offset + static_cast<int64_t>(std::min(line_end + 1, rest.size()));
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return Document{"", end};
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto text = object.is_object() ? object.find("text") : object.end();
  if (text == object.end() || !text->is_string()) {
    const std::string_view before = text_of(file_).substr(0, static_cast<size_t>(offset));
    throw Error(ErrorCode::kUsage,
                path_.string() + ":" +
                    std::to_string(1 + std::count(before.begin(), before.end(), '\n')) +
                    ": is no JSON object with a text under `text`",
                "Each line of a *.jsonl calibration file is {\"text\": \"...\"}.");
  }
  return Document{text->get<std::string>(), end};
}

}  // namespace ds4::reap
