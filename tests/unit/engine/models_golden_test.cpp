// Whole small models and the tiny checkpoint against the reference's logits, in every precision,
// and the promise that chunk sizes, thread counts and prefix reuse do not change a bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "engine/api/session.h"
#include "tests/support/source_dir.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/model_check.h"

namespace ds4::golden {
namespace {
namespace fs = std::filesystem;

std::vector<std::string> folders(const char* part) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(vectors_dir() / part)) {
    if (fs::exists(entry.path() / "golden.safetensors")) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class RandomModel : public ::testing::TestWithParam<std::string> {};

TEST_P(RandomModel, MatchesTheReference) {
  const fs::path model = vectors_dir() / "models" / GetParam();
  check_model(model, model);
}

// Not a tolerance: equal bits, because every sum has one order whatever it is computed beside.
TEST_P(RandomModel, ChunkSizesAndThreadsChangeNothing) {
  const fs::path model = vectors_dir() / "models" / GetParam();
  std::vector<TokenId> tokens = read_tokens(model / "tokens.json");
  tokens.resize(std::min<size_t>(tokens.size(), 700));
  for (const Set& set : sets()) {
    SCOPED_TRACE(set.name);
    const auto whole = all_logits(model, tokens, sized(set.settings, tokens.size(), 4096, 2));
    for (const auto& [chunk, threads] : {std::pair{1, 1}, {7, 3}, {128, 2}, {130, 1}}) {
      EXPECT_EQ(whole,
                all_logits(model, tokens, sized(set.settings, tokens.size(), chunk, threads)))
          << "chunk " << chunk << ", threads " << threads;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, RandomModel, ::testing::ValuesIn(folders("models")),
                         [](const auto& test) { return test.param; });

class TinyCheckpoint : public ::testing::TestWithParam<std::string> {};

TEST_P(TinyCheckpoint, MatchesTheReference) {
  const fs::path checkpoint = test_support::source_dir() / "checkpoints/tiny";
  if (!fs::exists(checkpoint / "config.json")) GTEST_SKIP() << "no checkpoints/tiny";
  check_model(checkpoint, vectors_dir() / "tiny" / GetParam());
}

std::string test_name(const ::testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Golden, TinyCheckpoint, ::testing::ValuesIn(folders("tiny")), test_name);

}  // namespace
}  // namespace ds4::golden
