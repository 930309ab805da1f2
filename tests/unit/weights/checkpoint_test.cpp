// Checkpoint directories: single file, index, bare shards; indexes that lie; identity.
#include "engine/weights/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

using nlohmann::json;

StoredTensors one(const std::string& name, char value = 'x') {
  return {{name, {"U8", {4}, std::string(4, value)}}};
}

class CheckpointTest : public testing::Test {
 protected:
  void write_shard(const std::string& file, const StoredTensors& tensors) {
    write_text(path_ / file, safetensors_bytes(tensors));
  }
  void write_index(const json& map) {
    write_text(path_ / "model.safetensors.index.json", json{{"weight_map", map}}.dump());
  }
  std::string error() {
    return error_of([&] { Checkpoint::open(path_); });
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path();
};

TEST_F(CheckpointTest, OpensOneFileAnIndexOrBareShards) {
  write_shard("s1.safetensors", one("b", 'b'));
  write_shard("s2.safetensors", one("a", 'a'));
  Checkpoint bare = Checkpoint::open(path_);
  ASSERT_EQ(bare.tensors().size(), 2u);
  EXPECT_EQ(bare.tensors()[0].name, "a");
  EXPECT_EQ(static_cast<char>(bare.find("b")->data[0]), 'b');
  EXPECT_EQ(bare.find("c"), nullptr);

  write_shard("unlisted.safetensors", one("z"));
  write_index({{"a", "s2.safetensors"}, {"b", "s1.safetensors"}});
  EXPECT_EQ(Checkpoint::open(path_).files().size(), 2u);

  write_shard("model.safetensors", one("single"));
  EXPECT_EQ(Checkpoint::open(path_).tensors().size(), 1u);
}

TEST_F(CheckpointTest, PrefixesAreContiguous) {
  write_shard("model.safetensors",
              {{"a.1", {"U8", {1}, "1"}}, {"a.2", {"U8", {1}, "2"}}, {"b.1", {"U8", {1}, "3"}}});
  const Checkpoint checkpoint = Checkpoint::open(path_);
  EXPECT_EQ(checkpoint.with_prefix("a.").size(), 2u);
  EXPECT_EQ(checkpoint.with_prefix("c").size(), 0u);
  EXPECT_EQ(checkpoint.with_prefix("").size(), 3u);
}

TEST_F(CheckpointTest, RefusesAnIndexThatIsNone) {
  write_shard("s1.safetensors", one("a"));
  const auto index = path_ / "model.safetensors.index.json";
  for (const char* text : {"", "[", "3", "[]", "{}", "{\"weight_map\":3}", "{\"weight_map\":{}}",
                           "{\"weight_map\":[\"a\"]}", "{\"weight_map\":{\"a\":3}}",
                           "{\"weight_map\":{\"a\":null}}"}) {
    write_text(index, text);
    EXPECT_NE(error().find("index.json"), std::string::npos) << text;
  }
}

TEST_F(CheckpointTest, RefusesShardNamesThatLeaveTheDirectory) {
  write_shard("s1.safetensors", one("a"));
  for (const char* name :
       {"../s1.safetensors", "/etc/s1.safetensors", "sub/s1.safetensors", "./s1.safetensors", "..",
        ".", "", ".safetensors", "config.json", "s1.safetensors/", "s1.safetensors\n"}) {
    write_index({{"a", name}});
    EXPECT_NE(error().find("plain *.safetensors file name"), std::string::npos) << name;
  }
  write_index({{"a", std::string("s1\0.safetensors", 15)}});
  EXPECT_NE(error().find("plain"), std::string::npos);
}

TEST_F(CheckpointTest, RefusesAnIndexThatDisagreesWithItsShards) {
  write_shard("s1.safetensors", one("a"));
  write_shard("s2.safetensors", one("b"));
  write_index({{"a", "s1.safetensors"}, {"b", "gone.safetensors"}});
  EXPECT_NE(error().find("gone.safetensors: missing"), std::string::npos);
  write_index({{"a", "s1.safetensors"}, {"c", "s2.safetensors"}});
  EXPECT_NE(error().find("`c` is not in `s2.safetensors`"), std::string::npos);
  write_index({{"a", "s2.safetensors"}, {"b", "s1.safetensors"}});
  EXPECT_NE(error().find("`a` is not in `s2.safetensors` but in s1.safetensors"),
            std::string::npos);
}

TEST_F(CheckpointTest, RefusesATensorInTwoShards) {
  write_shard("s1.safetensors", one("a"));
  write_shard("s2.safetensors", one("a"));
  EXPECT_NE(error().find("tensor `a` is also in"), std::string::npos);
}

TEST_F(CheckpointTest, RefusesDirectoriesWithoutWeights) {
  EXPECT_NE(error().find("holds no *.safetensors"), std::string::npos);
  EXPECT_NE(error_of([&] { Checkpoint::open(path_ / "none"); }).find("not a directory"),
            std::string::npos);
  std::filesystem::create_directory(path_ / "model.safetensors");
  EXPECT_NE(error().find("regular file"), std::string::npos);
}

TEST_F(CheckpointTest, IdentityFollowsHeadersAndSizesOnly) {
  const auto identity = [&] { return Checkpoint::open(path_).identity(); };
  write_shard("s1.safetensors", one("a", 'x'));
  write_shard("s2.safetensors", one("b", 'x'));
  const std::string first = identity();
  EXPECT_EQ(first.size(), 64u);
  write_shard("s2.safetensors", one("b", 'y'));  // other weights, same headers
  EXPECT_EQ(identity(), first);
  std::filesystem::rename(path_ / "s1.safetensors", path_ / "z.safetensors");
  EXPECT_EQ(identity(), first);
  write_text(path_ / "s2.safetensors", safetensors_bytes(one("b"), {{"made", "later"}}));
  EXPECT_NE(identity(), first);
  write_shard("s2.safetensors", one("c"));
  EXPECT_NE(identity(), first);
  write_text(path_ / "s2.safetensors", safetensors_bytes(one("b")) + "tail");
  EXPECT_NE(identity(), first);
}

}  // namespace
}  // namespace ds4::weights
