// A session into a snapshot and out of one: which bytes make up a timeline. The record around them
// is snapshot.h's.
#include <algorithm>
#include <cstring>

#include "engine/api/kv_size.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/session/engine.h"

namespace ds4::session {
namespace {

// Contents pass through this much of the caller's memory at a time.
constexpr int64_t kStage = 1 << 20;

int64_t bytes_of(const std::vector<cache::Piece>& pieces) {
  int64_t bytes = 0;
  for (const cache::Piece& piece : pieces) bytes += piece.bytes;
  return bytes;
}

}  // namespace

std::vector<cache::Piece> TimelineSession::memory_of(int64_t length) const {
  std::vector<cache::Piece> pieces = cache_.ring_pieces(length);
  const std::vector<cache::Piece> rows = cache_.row_pieces(length);
  pieces.insert(pieces.end(), rows.begin(), rows.end());
  return pieces;
}

int64_t TimelineSession::kv_bytes() const {
  return bytes_of(memory_of(length()));
}

void TimelineSession::write_snapshot(const SnapshotWriter::Sink& sink) const {
  SnapshotWriter writer(sink);
  const std::vector<cache::Piece> pieces = memory_of(length());
  SnapshotHeader header = describe_session(engine_.info(), engine_.settings(), cache_.plan());
  header.tokens = length();
  header.prompt = std::min(n_prompt_, length());
  header.logits = std::ssize(logits());
  header.bytes = 4 * (header.tokens + header.logits) + bytes_of(pieces);
  writer.header(header);
  writer.contents(std::as_bytes(std::span(tokens_)));
  writer.contents(std::as_bytes(logits()));
  std::vector<std::byte> stage;
  for (const cache::Piece& piece : pieces) {
    for (int64_t at = 0; at < piece.bytes; at += kStage) {
      stage.resize(static_cast<size_t>(std::min(kStage, piece.bytes - at)));
      engine_.backend().read(piece.data + at, stage);
      writer.contents(stage);
    }
  }
  writer.finish();
}

std::vector<std::byte> TimelineSession::snapshot() const {
  std::vector<std::byte> record;
  write_snapshot([&](std::string_view bytes) {
    const auto part = std::as_bytes(std::span(bytes));
    record.insert(record.end(), part.begin(), part.end());
  });
  return record;
}

void TimelineSession::save_snapshot(const std::filesystem::path& path) const {
  AtomicFile file(path);
  write_snapshot([&](std::string_view bytes) { file.write(bytes); });
  file.commit();
}

void TimelineSession::restore(std::span<const std::byte> snapshot) {
  read_snapshot(snapshot, "the snapshot");
}

void TimelineSession::load_snapshot(const std::filesystem::path& file) {
  read_snapshot(MappedFile(file).bytes(), file.string());
}

void TimelineSession::read_snapshot(std::span<const std::byte> bytes, const std::string& name) {
  const SnapshotRecord record = open_snapshot(bytes, name);
  const SnapshotHeader& header = record.header;
  check_fit(header, describe_session(engine_.info(), engine_.settings(), cache_.plan()),
            engine_.settings().context_length, name);
  // From here on counts are small, but nothing yet says that they agree with each other.
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kIo, name + ": damaged: " + what,
                "Take a new snapshot, or compute the prompt anew.");
  };
  if (header.logits != header.vocab && header.logits != 0) {
    refuse(std::to_string(header.logits) + " logits for a vocabulary of " +
           std::to_string(header.vocab));
  }
  if (header.prompt > header.tokens) {
    refuse("a prompt of " + std::to_string(header.prompt) + " among " +
           std::to_string(header.tokens) + " tokens");
  }
  const std::vector<cache::Piece> pieces = memory_of(header.tokens);
  const int64_t expected = 4 * (header.tokens + header.logits) + bytes_of(pieces);
  if (header.bytes != expected) {
    refuse(std::to_string(header.bytes) + " bytes of contents where " +
           std::to_string(header.tokens) + " tokens have " + std::to_string(expected));
  }
  std::span<const std::byte> rest = record.contents;
  const auto take = [&](size_t count) {
    const auto part = rest.first(count);
    rest = rest.subspan(count);
    return part;
  };
  std::vector<TokenId> tokens(static_cast<size_t>(header.tokens));
  const auto token_bytes = take(tokens.size() * sizeof(TokenId));
  if (!tokens.empty()) std::memcpy(tokens.data(), token_bytes.data(), token_bytes.size());
  for (const TokenId token : tokens) {
    if (token < 0 || token >= header.vocab) {
      refuse("token id " + std::to_string(token) + " is outside the vocabulary");
    }
  }

  tokens_ = std::move(tokens);
  has_logits_ = header.logits > 0;
  host_logits_.clear();
  engine_.backend().write(take(static_cast<size_t>(header.logits) * sizeof(float)), logits_.data);
  for (const cache::Piece& piece : pieces) {
    engine_.backend().write(take(static_cast<size_t>(piece.bytes)), piece.data);
  }
  drafts_.forget();
  history_.restart(length());
  if (has_logits_) history_.mark(length(), logits_, cache::MarkKind::kTurn);
  reused_ = 0;
  n_prompt_ = header.prompt;
  parting_ = 0;
}

}  // namespace ds4::session

namespace ds4 {

int64_t kv_bytes(const Session& session) {
  const auto* timeline = dynamic_cast<const session::TimelineSession*>(&session);
  return timeline ? timeline->kv_bytes() : 0;
}

}  // namespace ds4
