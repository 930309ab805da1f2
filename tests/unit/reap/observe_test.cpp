// Observing: the sums against float64 on a small model, and on the tiny checkpoint that kills,
// refusals and going on behave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/reap/calibration.h"
#include "engine/reap/observer.h"
#include "engine/weights/codecs/decode.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/source_dir.h"
#include "tests/unit/reap/fixtures.h"
#include "tests/unit/reap/multiply_ref.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Takes the inputs of every call and sums in float64 by itself.
class SumsRef final : public ops::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::map<const weights::Moe*, std::vector<double>> sums;

  void experts(const weights::Moe& moe, float limit, int k, int n, ops::Values x, ops::Ids ids,
               ops::Floats gates, ops::Values y) override {
    sums[&moe].resize(moe.experts.size());
    const auto* inputs = reinterpret_cast<const float*>(x.data);
    for (int pair = 0; pair < n * k; ++pair) {
      const auto e = static_cast<size_t>(reinterpret_cast<const int32_t*>(ids.data)[pair]);
      const float* row = inputs + pair / k * x.cols;
      const std::vector<double> input(row, row + x.cols);
      std::vector<double> gate = multiply(moe.experts[e].w1, input);
      const std::vector<double> up = multiply(moe.experts[e].w3, input);
      for (size_t i = 0; i < gate.size(); ++i) {
        const double g = std::min(gate[i], double{limit});
        gate[i] = g / (1 + std::exp(-g)) * std::clamp(up[i], -double{limit}, double{limit});
      }
      double squares = 0;
      for (const double value : multiply(moe.experts[e].w2, gate)) squares += value * value;
      sums[&moe][e] +=
          double{reinterpret_cast<const float*>(gates.data)[pair]} * std::sqrt(squares);
    }
    inner().experts(moe, limit, k, n, x, ids, gates, y);
  }
};

void run_once(const weights::ModelWeights& model, ops::Backend& backend, int chunk) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 30; ++i) tokens.push_back(i * 7 % 17);
  EngineSettings settings;
  settings.precision = Precision::kF32;
  settings.context_length = std::ssize(tokens);
  settings.prefill_chunk = chunk;
  const cache::KvCache memory(backend, cache::plan_cache(model.config, settings));
  model::Forward forward(model, backend, chunk);
  for (size_t at = 0; at < tokens.size(); at += static_cast<size_t>(chunk)) {
    const auto n = std::min(static_cast<size_t>(chunk), tokens.size() - at);
    const model::SequenceRows rows{.tokens = std::span(tokens).subspan(at, n),
                                   .first = static_cast<int64_t>(at),
                                   .cache = &memory};
    forward.run({&rows, 1});
  }
}

TEST(Observer, SumsEqualFloat64WhateverTheChunk) {
  const weights::TemporaryFolder folder;
  weights::TestModel().write(folder.path());
  const weights::ModelWeights model = weights::load_weights(folder.path());
  SumsRef reference(ops::make_cpu_backend(2, Precision::kF32));
  run_once(model, reference, 30);
  std::vector<std::vector<double>> first;
  for (const int chunk : {30, 7, 1}) {
    ObservingBackend observing(ops::make_cpu_backend(2, Precision::kF32));
    std::vector<BlockSums> blocks(model.layers.size());
    for (size_t l = 0; l < blocks.size(); ++l) {
      blocks[l].sums.resize(model.layers[l].ffn.experts.size());
      blocks[l].counts.resize(blocks[l].sums.size());
      observing.watch(model.layers[l].ffn, blocks[l]);
    }
    run_once(model, observing, chunk);
    for (size_t l = 0; l < blocks.size(); ++l) {
      int64_t routed = 0;
      for (const int64_t count : blocks[l].counts) routed += count;
      EXPECT_EQ(routed, 60);
      const std::vector<double>& expected = reference.sums.at(&model.layers[l].ffn);
      for (size_t e = 0; e < expected.size(); ++e) {
        EXPECT_NEAR(blocks[l].sums[e], expected[e], 1e-5 * expected[e]) << l << " " << e;
      }
      if (chunk == 30) first.push_back(blocks[l].sums);
      EXPECT_EQ(blocks[l].sums, first[l]) << "chunk " << chunk;
    }
  }
}

TEST(Calibration, ReadsDocuments) {
  const weights::TemporaryFolder folder;
  const fs::path lines = folder.path() / "c.jsonl";
  weights::write_text(
      lines, "{\"text\": \"one\"}\n\n{\"text\": \"t\\nwo\", \"x\": 1}\r\n{\"text\": \"\"}");
  const CalibrationFile file(lines);
  std::vector<std::string> texts;
  int64_t offset = 0;
  while (const auto document = file.read(offset)) {
    texts.push_back(document->text);
    offset = document->end;
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"one", "", "t\nwo", ""}));
  EXPECT_EQ(offset, file.bytes());

  std::string plain;
  for (int i = 0; i < 9000; ++i) plain += "line " + std::to_string(i) + "\n";
  plain += std::string(200'000, 'x');
  weights::write_text(folder.path() / "c.txt", plain);
  const CalibrationFile text(folder.path() / "c.txt");
  std::string together;
  offset = 0;
  while (const auto document = text.read(offset)) {
    EXPECT_LE(document->text.size(), 65536u);
    together += document->text;
    offset = document->end;
  }
  EXPECT_EQ(together, plain);

  for (const char* bad : {"[1]", "{\"text\": 1}", "{", "\xff", "{\"txt\": \"\"}"}) {
    weights::write_text(lines, std::string("{\"text\": \"one\"}\n") + bad + "\n");
    EXPECT_THAT(message_of([&] { CalibrationFile(lines).read(16); }), HasSubstr("c.jsonl:2"))
        << bad;
  }
  weights::write_text(lines, "");
  EXPECT_THAT(message_of([&] { CalibrationFile{lines}; }), HasSubstr("is empty"));
}

class ObserveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.checkpoint = test_support::source_dir() / "checkpoints/tiny";
    options_.calibration = folder_.path() / "c.jsonl";
    options_.out = folder_.path() / "seen.json";
    options_.sequence_tokens = 40;
    options_.threads = 2;
    options_.save_every_s = 0;
    weights::write_text(
        options_.calibration,
        "{\"text\": \"The grass is green. 12 + 30 = 42. Ada walked to the river.\"}\n"
        "{\"text\": \"Once more: the quick brown fox jumps over the lazy dog, and then "
        "it sleeps. Nobody in Oslo repaired a broken clock again after the storm.\"}\n");
  }
  static bool go_on(const ObserveProgress&) { return true; }
  std::string observe_all() { return observation_text(observe(options_, go_on)); }

  weights::TemporaryFolder folder_;
  ObserveOptions options_;
};

TEST_F(ObserveTest, EveryBlockIsSeenTheDraftBlockToo) {
  const Observation seen = observe(options_, go_on);
  EXPECT_TRUE(seen.complete);
  EXPECT_EQ(seen.documents, 2);
  EXPECT_GT(seen.sequences, 2);
  int64_t routed = 0;
  for (const BlockSums& block : seen.blocks) {
    int64_t count = 0;
    for (const int64_t n : block.counts) count += n;
    if (block.block == "layers.0") routed = count;
    if (block.block == "mtp.0") {
      // Every position but the last of a sequence: these sequences are shorter than a chunk.
      EXPECT_EQ(count, (seen.tokens - seen.sequences) * seen.experts_per_token);
    } else {
      EXPECT_EQ(count, seen.tokens * seen.experts_per_token) << block.block;
    }
  }
  EXPECT_EQ(routed, seen.tokens * seen.experts_per_token);
  EXPECT_EQ(seen.blocks.back().block, "mtp.0");
}

TEST_F(ObserveTest, GoesOnAfterAKillWithTheSameBits) {
  const std::string expected = observe_all();
  for (const int sequences : {1, 2, 3}) {
    options_.out = folder_.path() / ("killed" + std::to_string(sequences) + ".json");
    const pid_t child = ::fork();
    if (child == 0) {
      int seen = 0;
      // One sequence further than the last save: what is not saved is computed again.
      observe(options_, [&](const ObserveProgress&) {
        if (++seen == sequences) ::kill(::getpid(), SIGKILL);
        return true;
      });
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const Observation half = read_observation(options_.out);
    EXPECT_FALSE(half.complete);
    EXPECT_EQ(half.sequences, sequences - 1);
    EXPECT_EQ(observe_all(), expected);
  }
}

TEST_F(ObserveTest, StopsWhenAskedAndGoesOn) {
  const std::string expected = observe_all();
  options_.out = folder_.path() / "stopped.json";
  options_.save_every_s = 1e9;
  EXPECT_FALSE(observe(options_, [](const ObserveProgress&) { return false; }).complete);
  EXPECT_EQ(read_observation(options_.out).sequences, 1);
  EXPECT_EQ(observe_all(), expected);
  EXPECT_EQ(observe_all(), expected) << "a complete one is given back";
}

TEST_F(ObserveTest, AFullDiskKeepsWhatWasSaved) {
  const std::string expected = observe_all();
  options_.out = folder_.path() / "full.json";
  options_.save_every_s = 1e9;
  observe(options_, [](const ObserveProgress&) { return false; });
  const std::string saved = read_file(options_.out);
  {
    const test_support::FileSizeLimit limit(saved.size() / 2);
    EXPECT_THAT(message_of([&] { observe(options_, go_on); }),
                AllOf(HasSubstr("full.json: cannot write"), HasSubstr("Free space")));
  }
  EXPECT_EQ(read_file(options_.out), saved);
  EXPECT_EQ(observe_all(), expected);
}

TEST_F(ObserveTest, RefusesToGoOnWithSomethingElse) {
  observe(options_, [](const ObserveProgress&) { return false; });
  ObserveOptions other = options_;
  other.sequence_tokens = 41;
  EXPECT_THAT(message_of([&] { observe(other, go_on); }), HasSubstr("sequence length, 40"));
  other = options_;
  other.calibration = folder_.path() / "d.jsonl";
  weights::write_text(other.calibration, "{\"text\": \"Something else.\"}\n");
  EXPECT_THAT(message_of([&] { observe(other, go_on); }), HasSubstr("another calibration file"));

  // The same headers, one byte of weights changed: only the content hash sees it.
  other = options_;
  other.checkpoint = folder_.path() / "changed";
  fs::copy(options_.checkpoint, other.checkpoint, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(other.checkpoint)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::string bytes = read_file(entry.path());
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
    weights::write_text(entry.path(), bytes);
    break;
  }
  EXPECT_THAT(message_of([&] { observe(other, go_on); }), HasSubstr("another checkpoint"));
}

}  // namespace
}  // namespace ds4::reap
