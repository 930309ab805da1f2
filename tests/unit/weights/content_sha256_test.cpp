// The full hash: sees every byte, and its cache notices changed files.
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/base/files.h"
#include "engine/weights/checkpoint.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

TEST(ContentSha256, SeesWeightsAndConfig) {
  const TemporaryFolder folder;
  TestModel model;
  model.write(folder.path());
  const auto hash = [&] { return content_sha256(Checkpoint::open(folder.path())); };
  const std::string first = hash();
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(hash(), first);
  model.tensors["norm.weight"].bytes[0] ^= 1;
  model.write(folder.path());
  const std::string second = hash();
  EXPECT_NE(second, first);
  model.config["hc_sinkhorn_iters"] = 5;
  model.write(folder.path());
  EXPECT_NE(hash(), second);
}

TEST(ContentSha256, CacheHoldsUntilAFileChanges) {
  const TemporaryFolder folder;
  const auto cache = folder.path() / "cache.json";
  TestModel model;
  model.write(folder.path());
  const std::string first = content_sha256(Checkpoint::open(folder.path()), cache);
  ASSERT_TRUE(std::filesystem::exists(cache));
  EXPECT_EQ(content_sha256(Checkpoint::open(folder.path()), cache), first);

  // A planted hash shows that the cache is what answers.
  auto entries = nlohmann::json::parse(read_file(cache));
  ASSERT_EQ(entries.size(), 1u);
  entries.begin().value()["sha256"] = "planted";
  write_text(cache, entries.dump());
  EXPECT_NE(content_sha256(Checkpoint::open(folder.path()), cache), first);

  const auto weights = folder.path() / "model.safetensors";
  std::filesystem::last_write_time(
      weights, std::filesystem::last_write_time(weights) + std::chrono::seconds(2));
  EXPECT_EQ(content_sha256(Checkpoint::open(folder.path()), cache), first);
  for (const char* broken : {"", "[]", "{\"x\":", "3"}) {
    write_text(cache, broken);
    EXPECT_EQ(content_sha256(Checkpoint::open(folder.path()), cache), first);
  }
}

}  // namespace
}  // namespace ds4::weights
