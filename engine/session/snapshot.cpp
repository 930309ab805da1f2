#include "engine/session/snapshot.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "engine/base/error.h"

namespace ds4::session {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as memory is");

constexpr std::string_view kTitle = "ds4 session snapshot, version ";
constexpr std::string_view kVersion = "1";
constexpr size_t kHashDigits = 64;
constexpr size_t kLongestHeader = 1024;

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw Error(ErrorCode::kIo, name + ": " + what,
              "Take a new snapshot, or compute the prompt anew.");
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Takes "KEY VALUE\n" off the front of `text`; both parts of a header have one order of keys.
std::string take_value(std::string_view& text, std::string_view key, const std::string& name) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(key) || end <= key.size() ||
      text[key.size()] != ' ') {
    refuse(name, "damaged: no `" + std::string(key) + "` where the header should have it");
  }
  const std::string value(text.substr(key.size() + 1, end - key.size() - 1));
  text.remove_prefix(end + 1);
  return value;
}

int64_t take_count(std::string_view& text, std::string_view key, const std::string& name) {
  const std::string value = take_value(text, key, name);
  int64_t count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count < 0) {
    refuse(name, "damaged: `" + std::string(key) + "` is no count");
  }
  return count;
}

// Cache rows of the same geometry mean the same bytes.
std::string geometry_of(const cache::CachePlan& plan) {
  std::string text;
  const auto row = [&](const ops::RowLayout& layout) {
    text += std::to_string(static_cast<int>(layout.format)) + "," + std::to_string(layout.dim) +
            "," + std::to_string(layout.rope_dim) + "," + std::to_string(layout.bytes()) + ";";
  };
  for (const cache::LayerPlan& layer : plan.layers) {
    text += std::to_string(layer.ratio) + "," + std::to_string(layer.window) + "," +
            std::to_string(layer.tail_width) + "," + std::to_string(layer.key_tail_width) + ";";
    row(layer.raw);
    row(layer.compressed);
    row(layer.keys);
  }
  return sha256_hex(text).substr(0, 16);
}

}  // namespace

SnapshotHeader describe_session(const ModelInfo& info, const EngineSettings& settings,
                                const cache::CachePlan& plan) {
  SnapshotHeader header;
  header.checkpoint = info.identity;
  header.kv = settings.kv_dtype == KvDtype::kFp8 ? "fp8" : "bf16";
  header.index = settings.index_dtype == IndexDtype::kFp4 ? "fp4" : "bf16";
  header.precision = settings.precision == Precision::kReference ? "reference" : "f32";
  header.geometry = geometry_of(plan);
  header.vocab = info.vocab_size;
  return header;
}

void SnapshotWriter::put(std::string_view bytes) {
  hash_.update(bytes);
  sink_(bytes);
}

void SnapshotWriter::header(const SnapshotHeader& h) {
  std::string text = std::string(kTitle) + std::string(kVersion) + "\n";
  const auto line = [&](const char* key, const std::string& value) {
    text += std::string(key) + " " + value + "\n";
  };
  line("checkpoint", h.checkpoint);
  line("kv", h.kv);
  line("index", h.index);
  line("precision", h.precision);
  line("geometry", h.geometry);
  line("vocab", std::to_string(h.vocab));
  line("tokens", std::to_string(h.tokens));
  line("prompt", std::to_string(h.prompt));
  line("logits", std::to_string(h.logits));
  line("bytes", std::to_string(h.bytes));
  put(text + "\n");
}

void SnapshotWriter::contents(std::span<const std::byte> bytes) {
  put(text_of(bytes));
}

void SnapshotWriter::finish() {
  sink_(hash_.hex());
}

SnapshotRecord open_snapshot(std::span<const std::byte> record, const std::string& name) {
  const std::string_view all = text_of(record);
  std::string_view text = all.substr(0, kLongestHeader);
  if (!text.starts_with(kTitle)) refuse(name, "not a session snapshot");
  text.remove_prefix(kTitle.size());
  const std::string version(text.substr(0, std::min<size_t>(text.find('\n'), 20)));
  if (version != kVersion) {
    refuse(name, "a snapshot of version " + version + "; this program reads version " +
                     std::string(kVersion));
  }
  // A record cut here has no line end to take away.
  text.remove_prefix(std::min(text.size(), kVersion.size() + 1));

  SnapshotRecord result;
  SnapshotHeader& h = result.header;
  h.checkpoint = take_value(text, "checkpoint", name);
  h.kv = take_value(text, "kv", name);
  h.index = take_value(text, "index", name);
  h.precision = take_value(text, "precision", name);
  h.geometry = take_value(text, "geometry", name);
  h.vocab = take_count(text, "vocab", name);
  h.tokens = take_count(text, "tokens", name);
  h.prompt = take_count(text, "prompt", name);
  h.logits = take_count(text, "logits", name);
  h.bytes = take_count(text, "bytes", name);
  if (!text.starts_with('\n')) refuse(name, "damaged: the header has no end");
  const auto begin = static_cast<size_t>(text.data() + 1 - all.data());

  // Compared without adding to a number from the file.
  const size_t behind = all.size() - begin;
  if (behind < kHashDigits || static_cast<uint64_t>(h.bytes) > behind - kHashDigits) {
    refuse(name, "cut off: " + std::to_string(all.size()) + " bytes are there, contents of " +
                     std::to_string(h.bytes) + " bytes were written");
  }
  const auto bytes = static_cast<size_t>(h.bytes);
  if (behind - kHashDigits > bytes) refuse(name, "damaged: bytes behind its end");
  if (sha256_hex(all.substr(0, begin + bytes)) != all.substr(begin + bytes)) {
    refuse(name, "damaged: its checksum does not match its contents");
  }
  result.contents = record.subspan(begin, bytes);
  return result;
}

void check_fit(const SnapshotHeader& record, const SnapshotHeader& own, int64_t context_length,
               const std::string& name) {
  const auto compare = [&](const char* what, const std::string& theirs, const std::string& ours,
                           const char* hint) {
    if (theirs == ours) return;
    throw Error(ErrorCode::kUsage, name + ": " + what + " " + theirs + ", this session has " + ours,
                hint);
  };
  const char* same = "Load the engine with the settings the snapshot was taken with.";
  compare("taken with checkpoint", record.checkpoint, own.checkpoint,
          "Load the checkpoint the snapshot was taken with.");
  compare("KV rows are", record.kv, own.kv, same);
  compare("indexer keys are", record.index, own.index, same);
  compare("the precision is", record.precision, own.precision, same);
  compare("cache rows have geometry", record.geometry, own.geometry,
          "Another version of this program took it: compute the prompt anew.");
  compare("the vocabulary is", std::to_string(record.vocab), std::to_string(own.vocab), same);
  if (record.tokens > context_length) {
    throw Error(ErrorCode::kUsage,
                name + ": " + std::to_string(record.tokens) +
                    " tokens do not fit a session of context_length " +
                    std::to_string(context_length),
                "Raise the context length.");
  }
}

}  // namespace ds4::session
