// A session snapshot of any bytes: refused with the session left as it was, or restored to one that
// computes on and whose own snapshot restores to itself. A checksum stands between a fuzzer and all
// behind it, so most inputs are given the one that fits.
#include <cstring>

#include "engine/api/session.h"
#include "engine/base/hash.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/source_dir.h"

using namespace ds4;

namespace {

constexpr size_t kHashDigits = 64;

std::span<const std::byte> bytes_of(const std::string& record) {
  return std::as_bytes(std::span(record));
}

// A session of a few tokens and its record, apart from the checksum.
struct Sample {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  std::vector<std::byte> record;
  std::string header, contents;

  Sample() {
    EngineSettings settings;
    settings.context_length = 48;
    settings.prefill_chunk = 8;
    settings.threads = 1;
    engine =
        Engine::load(test_support::source_dir() / "tests/golden/vectors/models/one_csa", settings);
    session = engine->new_session();
    const TokenId tokens[] = {3, 1, 4, 1, 5};
    session->extend_to(tokens);
    record = session->snapshot();
    const std::string text(reinterpret_cast<const char*>(record.data()),
                           record.size() - kHashDigits);
    const size_t begin = text.find("\n\n") + 2;
    header = text.substr(0, begin);
    contents = text.substr(begin);
  }
};

// The first byte says what the others are: a record, a record without its checksum, a header, or
// contents that begin at a place of their own.
std::string record_of(std::string_view text, const Sample& sample) {
  if (text.empty()) return "";
  const int kind = text.front() & 3;
  text.remove_prefix(1);
  std::string record(text);
  if (kind == 0) return record;
  if (kind == 2) record += sample.contents;
  if (kind == 3) {
    record = sample.header + sample.contents;
    uint16_t place = 0;
    if (text.size() >= sizeof place) {
      std::memcpy(&place, text.data(), sizeof place);
      text.remove_prefix(sizeof place);
      const size_t at = sample.header.size() + place % sample.contents.size();
      record.replace(at, std::min(text.size(), record.size() - at),
                     text.substr(0, record.size() - at));
    }
  }
  return record + sha256_hex(record);
}

void go_on(Session& session, int64_t vocab) {
  const auto taken = session.snapshot();
  session.restore(taken);
  fuzz::require(session.snapshot() == taken, "a session's own snapshot restores to itself");
  if (session.length() == 0 || session.length() >= 48) return;
  TokenId token = 0;
  fuzz::refuses([&] { token = session.sample({}); });  // no logit may be a number
  fuzz::require(token >= 0 && token < vocab, "drawn tokens lie in the vocabulary");
  session.append(token);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Sample sample;
  Session& session = *sample.session;
  const std::string record = record_of(fuzz::as_text(data, size), sample);
  if (fuzz::refuses([&] { session.restore(bytes_of(record)); })) {
    fuzz::require(session.snapshot() == sample.record, "a refusal changes nothing");
    return 0;
  }
  fuzz::require(session.length() <= 48, "a restored session fits");
  go_on(session, sample.engine->info().vocab_size);
  session.restore(sample.record);
  return 0;
}
