// The record that carries a session from one process to another: a few lines of text that say what
// it belongs to, the contents, and a SHA-256 over all before it. Knows the record, not the session.
//
//   ds4 session snapshot, version 1\n
//   checkpoint SHA256\n  kv fp8\n  index fp4\n  precision reference\n  geometry HEX\n  vocab N\n
//   tokens N\n  prompt N\n  logits N\n  bytes N\n  \n
//   `bytes` bytes: token ids (int32), logits (f32), rings, compressed rows and keys (kv_cache.h,
//   ring_pieces, row_pieces), all little-endian
//   64 hexadecimal digits
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/api/session.h"
#include "engine/base/hash.h"
#include "engine/cache/kv_cache.h"

namespace ds4::session {

/// What a record says about itself.
struct SnapshotHeader {
  std::string checkpoint;  // ModelInfo::identity
  std::string kv;
  std::string index;
  std::string precision;
  std::string geometry;  // of the cache rows
  int64_t vocab = 0;
  int64_t tokens = 0;
  int64_t prompt = 0;  // those of them that came as a prompt
  int64_t logits = 0;  // vocab, or 0 when they are not known
  int64_t bytes = 0;   // of the contents
};

/// The header of a session with these settings; all behind `vocab` is left at 0.
SnapshotHeader describe_session(const ModelInfo& info, const EngineSettings& settings,
                                const cache::CachePlan& plan);

/// Writes a record piece by piece.
class SnapshotWriter {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit SnapshotWriter(Sink sink) : sink_(std::move(sink)) {}

  void header(const SnapshotHeader& header);
  void contents(std::span<const std::byte> bytes);
  void finish();

 private:
  void put(std::string_view bytes);

  Sink sink_;
  Sha256 hash_;
};

/// A record whose length and checksum are right.
struct SnapshotRecord {
  SnapshotHeader header;
  std::span<const std::byte> contents;  // header.bytes
};

/// Opens a record; `name` is what errors call it. Throws Error(kIo) for anything that is no whole
/// and undamaged record of this version.
SnapshotRecord open_snapshot(std::span<const std::byte> record, const std::string& name);

/// Throws Error(kUsage) naming the first thing in which a record does not fit a session like `own`
/// with room for `context_length` tokens.
void check_fit(const SnapshotHeader& record, const SnapshotHeader& own, int64_t context_length,
               const std::string& name);

}  // namespace ds4::session
