#include "reports/store/texts.h"

#include <zstd.h>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"

namespace ds4::reports {
namespace {

// zstd's own default: most of the gain at a cost far below that of producing one token.
constexpr int kCompressionLevel = 3;

// One zstd frame, or "" when it would be no shorter than the text.
std::string compress(std::string_view text) {
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  const size_t size =
      ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), kCompressionLevel);
  DS4_CHECK(!ZSTD_isError(size), ZSTD_getErrorName(size));
  if (size >= text.size()) return "";
  frame.resize(size);
  return frame;
}

}  // namespace

int64_t intern_text(Database& database, std::string_view text) {
  const std::string sha256 = sha256_hex(text);
  {
    Statement find(database, "SELECT id FROM texts WHERE sha256 = ?", "store a text");
    find.bind(sha256);
    if (find.step()) return find.integer(0);
  }
  const std::string frame = compress(text);
  Statement insert(database, "INSERT INTO texts (sha256, size, encoding, data) VALUES (?, ?, ?, ?)",
                   "store a text");
  insert.bind(sha256).bind(static_cast<int64_t>(text.size()));
  insert.bind(frame.empty() ? "raw" : "zstd").bind_blob(frame.empty() ? text : frame);
  insert.run();
  return database.last_insert_id();
}

std::string load_text(Database& database, int64_t id) {
  Statement find(database, "SELECT sha256, size, encoding, data FROM texts WHERE id = ?");
  find.bind(id);
  const auto damaged = [&]() -> Error {
    return Error(ErrorCode::kIo,
                 database.path().string() + ": stored text " + std::to_string(id) + " is damaged",
                 "The file was changed after it was written. Restore it from a copy; rows of other "
                 "attempts are not affected.");
  };
  if (!find.step()) throw damaged();
  const std::string sha256 = find.text(0);
  const auto size = static_cast<uint64_t>(find.integer(1));
  std::string bytes = find.text(3);
  if (find.text(2) == "zstd") {
    // The frame states its own size; only a frame that agrees with the row is allocated for.
    if (ZSTD_getFrameContentSize(bytes.data(), bytes.size()) != size) throw damaged();
    std::string text(size, '\0');
    const size_t n = ZSTD_decompress(text.data(), text.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(n) || n != size) throw damaged();
    bytes = std::move(text);
  }
  if (bytes.size() != size || sha256_hex(bytes) != sha256) throw damaged();
  return bytes;
}

}  // namespace ds4::reports
