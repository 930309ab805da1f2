// Snapshots: the restored session goes on bit for bit, what does not fit is refused by name, and no
// record, however hostile, does more than throw.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "tests/support/file_size_limit.h"
#include "tests/unit/engine/session_support.h"

namespace ds4 {
namespace {
using namespace session_test;
using Bytes = std::vector<std::byte>;

std::string text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A record with a changed header line and a checksum that fits again.
Bytes with_line(const Bytes& record, const std::string& key, const std::string& value) {
  std::string text = text_of(record);
  const size_t at = text.find("\n" + key + " ") + 1;
  text.replace(at, text.find('\n', at) - at, key + " " + value);
  text.resize(text.size() - 64);
  return bytes_of(text + sha256_hex(text));
}

size_t contents_of(const Bytes& record) {
  return text_of(record).find("\n\n") + 2;
}

/// What restoring throws: code and text; an empty text when nothing is thrown.
std::pair<ErrorCode, std::string> refusal(Session& session, const Bytes& record) {
  try {
    session.restore(record);
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return {error.code(), error.what()};
  }
  return {ErrorCode::kUsage, ""};
}

struct Formats {
  const char* name;
  const char* model;
  KvDtype kv;
  IndexDtype index;
  Precision precision;
};

class Snapshot : public ::testing::TestWithParam<Formats> {
 protected:
  static EngineSettings settings(int64_t context, int chunk) {
    EngineSettings s = settings_with(context, chunk);
    s.kv_dtype = GetParam().kv;
    s.index_dtype = GetParam().index;
    s.precision = GetParam().precision;
    return s;
  }
};

TEST_P(Snapshot, GoesOnBitForBit) {
  const Pair taken(GetParam().model, settings(700, 64));
  const Pair given(GetParam().model, settings(900, 7));  // other rings, other stores
  Rng rng(21);
  const Tokens all = random_tokens(rng, 700, taken.vocab());
  const auto from = taken.engine->new_session();
  const auto to = given.engine->new_session();
  for (const size_t n : {1u, 3u, 4u, 5u, 24u, 127u, 128u, 129u, 300u, 511u, 650u}) {
    Tokens tokens(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
    from->extend_to(tokens);
    const Bytes record = from->snapshot();
    to->restore(record);
    EXPECT_EQ(to->length(), static_cast<int64_t>(n));
    EXPECT_EQ(logits_of(*to), logits_of(*from));
    EXPECT_EQ(to->snapshot(), record) << "the same record whatever holds it";
    for (int i = 0; i < 6; ++i) {
      to->append(all[n + static_cast<size_t>(i)]);
      tokens.push_back(all[n + static_cast<size_t>(i)]);
    }
    ASSERT_EQ(logits_of(*to), taken.cold(tokens)) << n;
    tokens.insert(tokens.end(), all.begin(), all.begin() + 40);
    to->extend_to(tokens);
    EXPECT_EQ(to->reused(), static_cast<int64_t>(n + 6));
    ASSERT_EQ(logits_of(*to), given.cold(tokens)) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Snapshot,
    ::testing::Values(
        Formats{"fp8", "odd", KvDtype::kFp8, IndexDtype::kFp4, Precision::kReference},
        Formats{"bf16", "odd", KvDtype::kBf16, IndexDtype::kBf16, Precision::kReference},
        Formats{"f32", "odd", KvDtype::kFp8, IndexDtype::kFp4, Precision::kF32},
        Formats{"sharded", "sharded", KvDtype::kFp8, IndexDtype::kFp4, Precision::kReference}),
    [](const auto& test) { return std::string(test.param.name); });

class SnapshotOfOdd : public ::testing::Test {
 protected:
  void SetUp() override {
    session_ = pair_.engine->new_session();
    tokens_ = random_tokens(rng_, 300, pair_.vocab());
    session_->extend_to(tokens_);
    record_ = session_->snapshot();
    std::string pattern = testing::TempDir() + "ds4-snapshot-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Rng rng_{31};
  Pair pair_{"odd", settings_with(400, 64)};
  std::unique_ptr<Session> session_;
  Tokens tokens_;
  Bytes record_;
  std::filesystem::path folder_;
};

TEST_F(SnapshotOfOdd, FilesHoldTheSameRecord) {
  const auto file = folder_ / "a.snapshot";
  session_->save_snapshot(file);
  EXPECT_EQ(read_file(file), text_of(record_));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  session_->extend_to(Tokens{1, 2, 3});
  session_->load_snapshot(file);
  session_->append(5);
  tokens_.push_back(5);
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
}

TEST_F(SnapshotOfOdd, RestoredSessionsGoBackAndOnAsAnyOther) {
  session_->extend_to(Tokens{1, 2, 3});
  session_->restore(record_);
  for (int i = 0; i < 90; ++i) session_->append(static_cast<TokenId>(i));
  session_->extend_to(tokens_);
  EXPECT_EQ(session_->reused(), 300) << "the restored length is marked";
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
  for (int i = 0; i < 8; ++i) session_->append(static_cast<TokenId>(i));
  tokens_.insert(tokens_.end(), {0, 1, 2, 5});
  session_->extend_to(tokens_);
  EXPECT_EQ(session_->reused(), 302) << "a few tokens go back by the rings";
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
  tokens_.resize(290);
  session_->extend_to(tokens_);
  EXPECT_EQ(session_->reused(), 0) << "before it there is nothing to go back to";
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
}

TEST_F(SnapshotOfOdd, TakenAfterGoingBack) {
  tokens_.resize(297);
  tokens_.back() = (tokens_.back() + 1) % 97;
  EXPECT_EQ(session_->rewind(tokens_), 295);  // no logits known there
  const Bytes record = session_->snapshot();
  session_->extend_to(Tokens{1, 2, 3});
  session_->restore(record);
  EXPECT_EQ(session_->length(), 295);
  session_->extend_to(tokens_);
  EXPECT_EQ(session_->reused(), 295);
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
  session_->restore(record);
  tokens_.resize(295);
  session_->extend_to(tokens_);  // all tokens are there, their logits are not
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
}

// The repetition controls tell a prompt from an answer.
TEST_F(SnapshotOfOdd, DrawsAsTheSessionItWasTakenFrom) {
  const SamplingSettings sampling{
      .temperature = 1, .repetition_penalty = 1.3, .presence_penalty = 1.5, .seed = 5};
  for (int i = 0; i < 30; ++i) session_->append(session_->sample(sampling));
  const Bytes record = session_->snapshot();
  Tokens drawn;
  for (int i = 0; i < 30; ++i) session_->append(drawn.emplace_back(session_->sample(sampling)));
  session_->extend_to(Tokens(50, 3));
  session_->restore(record);
  for (const TokenId token : drawn) {
    ASSERT_EQ(session_->sample(sampling), token);
    session_->append(token);
  }
}

TEST_F(SnapshotOfOdd, OfAnEmptySession) {
  session_->restore(pair_.fresh->new_session()->snapshot());
  EXPECT_EQ(session_->length(), 0);
  session_->extend_to(tokens_);
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_));
}

TEST_F(SnapshotOfOdd, RefusesWhatDoesNotFitByName) {
  const auto into = [&](const std::string& model, auto change) {
    EngineSettings settings = settings_with(400, 64);
    change(settings);
    const auto engine = Engine::load(model_folder(model), settings);
    const auto session = engine->new_session();
    session->extend_to(Tokens{1, 2});
    const auto logits = logits_of(*session);
    const auto [code, what] = refusal(*session, record_);
    EXPECT_EQ(code, ErrorCode::kUsage);
    EXPECT_EQ(logits_of(*session) == logits, !what.empty()) << "left as it was if refused";
    EXPECT_EQ(session->length(), what.empty() ? 300 : 2);
    return what;
  };
  using S = EngineSettings;
  EXPECT_NE(into("wide", [](S&) {}).find("checkpoint"), std::string::npos);
  EXPECT_NE(into("odd", [](S& s) { s.kv_dtype = KvDtype::kBf16; }).find("KV rows are fp8"),
            std::string::npos);
  EXPECT_NE(into("odd", [](S& s) { s.index_dtype = IndexDtype::kBf16; }).find("keys are fp4"),
            std::string::npos);
  EXPECT_NE(into("odd", [](S& s) { s.precision = Precision::kF32; }).find("precision"),
            std::string::npos);
  EXPECT_NE(into("odd", [](S& s) { s.context_length = 299; }).find("300 tokens do not fit"),
            std::string::npos);
  EXPECT_EQ(into("odd", [](S& s) { s.context_length = 300; }), "");
}

TEST_F(SnapshotOfOdd, ErrorsNameTheFile) {
  const auto file = folder_ / "b.snapshot";
  write_file_atomic(file, text_of(record_).substr(0, 5000));
  try {
    session_->load_snapshot(file);
    ADD_FAILURE() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find(file.string() + ": cut off"), std::string::npos);
  }
  EXPECT_THROW(session_->load_snapshot(folder_ / "missing"), Error);
  EXPECT_THROW(session_->load_snapshot(folder_), Error);
  EXPECT_THROW(session_->save_snapshot(folder_ / "no" / "such"), Error);
}

TEST_F(SnapshotOfOdd, AFullDiskLeavesTheOldFile) {
  const auto file = folder_ / "c.snapshot";
  session_->save_snapshot(file);
  session_->append(1);
  {
    const test_support::FileSizeLimit limit(record_.size() / 2);
    try {
      session_->save_snapshot(file);
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find(file.string() + ": cannot write"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_EQ(read_file(file), text_of(record_));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(SnapshotOfOdd, RefusesWhatIsDamaged) {
  const auto says = [&](const Bytes& record, const std::string& text) {
    const auto [code, what] = refusal(*session_, record);
    EXPECT_EQ(code, ErrorCode::kIo);
    EXPECT_NE(what.find(text), std::string::npos) << what;
  };
  says({}, "not a session snapshot");
  says(bytes_of("ds4 session snapshot, version 2\n"), "version 2; this program reads version 1");
  says(bytes_of("ds4 session snapshot, version 1\n"), "no `checkpoint`");
  says(bytes_of("ds4 session snapshot, version 1"), "no `checkpoint`");
  says(with_line(record_, "tokens", "-1"), "`tokens` is no count");
  says(with_line(record_, "tokens", "99999999999999999999"), "`tokens` is no count");
  says(with_line(record_, "tokens", ""), "`tokens` is no count");
  says(with_line(record_, "tokens", "301"), "301 tokens have");
  says(with_line(record_, "prompt", "301"), "a prompt of 301 among 300");
  says(with_line(record_, "logits", "96"), "96 logits");
  says(with_line(record_, "logits", "4611686018427387904"), "logits for a vocabulary");
  says(with_line(record_, "bytes", "9223372036854775807"), "cut off");
  says(with_line(record_, "bytes", "0"), "bytes behind its end");
  Bytes longer = record_;
  longer.push_back(std::byte{'0'});
  says(longer, "bytes behind its end");
  Bytes outside = record_;
  outside[contents_of(record_)] = std::byte{97};
  says(with_line(outside, "kv", "fp8"), "token id");
  EXPECT_EQ(refusal(*session_, with_line(record_, "tokens", "9223372036854775807")).first,
            ErrorCode::kUsage)
      << "more than the context";
  EXPECT_EQ(session_->length(), 300);
}

TEST_F(SnapshotOfOdd, EveryFlippedByteIsNoticed) {
  const auto logits = logits_of(*session_);
  const size_t begin = contents_of(record_);
  for (int i = 0; i < 3000; ++i) {
    Bytes record = record_;
    // Every byte of the header and the checksum, then some of the contents.
    const size_t n = static_cast<size_t>(i);
    const size_t at = n < begin        ? n
                      : n < begin + 64 ? record.size() - 1 - (n - begin)
                                       : rng_() % record.size();
    record[at] ^= std::byte{static_cast<unsigned char>(1 + rng_() % 255)};
    ASSERT_NE(refusal(*session_, record).second, "") << "byte " << at;
  }
  EXPECT_EQ(logits_of(*session_), logits);
}

TEST_F(SnapshotOfOdd, EveryCutIsNoticed) {
  const size_t begin = contents_of(record_);
  for (size_t cut = 0; cut < record_.size();
       cut += cut < begin + 20 || cut + 80 > record_.size() ? 1 : 97) {
    ASSERT_NE(refusal(*session_,
                      Bytes(record_.begin(), record_.begin() + static_cast<std::ptrdiff_t>(cut)))
                  .second,
              "")
        << "cut at " << cut;
  }
}

// A record with a right checksum and any contents behind its tokens: NaN rows, NaN scores, codes
// that mean nothing. The session computes nonsense, but computes.
TEST_F(SnapshotOfOdd, ForgedContentsAreHarmless) {
  for (int round = 0; round < 20; ++round) {
    std::string text = text_of(record_);
    text.resize(text.size() - 64);
    for (size_t i = contents_of(record_) + 4 * 300; i < text.size(); ++i) {
      text[i] = round == 0 ? '\xFF' : static_cast<char>(rng_());
    }
    session_->restore(bytes_of(text + sha256_hex(text)));
    for (int i = 0; i < 12; ++i) {
      TokenId token = 0;
      try {
        token = session_->sample({.temperature = i % 2 ? 1.0 : 0.0, .top_p = 0.9});
      } catch (const Error&) {  // no logit is a number
      }
      ASSERT_TRUE(token >= 0 && token < 97);
      session_->append(token);
    }
    EXPECT_EQ(session_->length(), 312);
  }
  session_->restore(record_);
  session_->append(1);
  tokens_.push_back(1);
  EXPECT_EQ(logits_of(*session_), pair_.cold(tokens_)) << "nothing of it stays";
}

}  // namespace
}  // namespace ds4
