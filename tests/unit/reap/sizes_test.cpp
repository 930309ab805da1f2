// Sizes from headers alone for the whole model of 256 experts, built from the headers of K160:
// files and totals equal what that checkpoint's manifest and model.md 7.3 state.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "engine/reap/blocks.h"
#include "tests/unit/reap/fixtures.h"
#include "tests/unit/weights/real_headers.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int kHave = 160, kWhole = 256;

// Router rows and biases for 256 experts, and 96 more experts like the first ones, in the official
// order of dtypes and names.
ordered_json grown(const ordered_json& shard) {
  const std::map<std::string, int> order = {{"I64", 0},     {"F32", 1},     {"BF16", 2},
                                            {"F8_E8M0", 3}, {"F8_E4M3", 4}, {"I8", 5}};
  std::map<std::pair<int, std::string>, ordered_json> tensors;
  const auto add = [&](const std::string& name, const ordered_json& like, int64_t bytes) {
    tensors[{order.at(like[1]), name}] = {name, like[1], like[2], bytes};
  };
  for (ordered_json tensor : shard["tensors"]) {
    const std::string name = tensor[0];
    int64_t bytes = tensor[4].get<int64_t>() - tensor[3].get<int64_t>();
    const auto parts = parse_moe_name(name);
    if (parts && parts->part == MoeName::Part::kExpert && parts->expert < kWhole - kHave) {
      add(std::string(parts->block) + ".ffn.experts." + std::to_string(parts->expert + kHave) +
              "." + std::string(parts->rest),
          tensor, bytes);
    }
    if (parts &&
        (parts->part == MoeName::Part::kGateWeight || parts->part == MoeName::Part::kGateBias)) {
      tensor[2][0] = kWhole;
      bytes = bytes / kHave * kWhole;
    }
    add(name, tensor, bytes);
  }
  ordered_json result{{"file", shard["file"]}, {"tensors", ordered_json::array()}};
  int64_t at = 0;
  for (const auto& [key, tensor] : tensors) {
    const int64_t end = at + tensor[3].get<int64_t>();
    result["tensors"].push_back({tensor[0], tensor[1], tensor[2], at, end});
    at = end;
  }
  result["data_bytes"] = at;
  return result;
}

double gigabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

TEST(Sizes, OfTheRealModel) {
  const fs::path real = weights::real_headers_folder();
  if (real.empty()) GTEST_SKIP() << "no ../shared (set DS4_SHARED)";
  const ordered_json headers = weights::read_real_headers();
  if (headers.is_null()) GTEST_SKIP() << "gzip cannot read the header data";
  const weights::TemporaryFolder folder;
  for (const auto& shard : headers["shards"]) {
    if (!weights::lay_out_shard(grown(shard), folder.path())) {
      GTEST_SKIP() << "the temporary folder's file system takes no sparse files";
    }
  }
  fs::copy_file(real / "config.json", folder.path() / "config.json");

  const ordered_json manifest = ordered_json::parse(std::ifstream(real / "REAP_MANIFEST.json"));
  const PruneSizes k160 = prune_sizes(folder.path(), 160);
  ASSERT_EQ(k160.shards.size(), 48u);
  for (size_t i = 0; i < 48; ++i) {
    const auto& shipped = manifest["rewrite"]["shards"][i];
    EXPECT_EQ(k160.shards[i].file, shipped["shard"]);
    EXPECT_EQ(k160.shards[i].source_bytes, shipped["source_bytes"]) << i;
    EXPECT_EQ(k160.shards[i].output_bytes, shipped["output_bytes"]) << i;
    EXPECT_EQ(k160.shards[i].tensor_bytes, shipped["tensor_bytes"]) << i;
    EXPECT_EQ(k160.shards[i].tensors, shipped["tensor_count"]) << i;
  }
  EXPECT_EQ(k160.tensor_bytes(), 107'803'320'952);
  EXPECT_EQ(k160.tensors(), 45'821);
  EXPECT_NEAR(gigabytes(k160.source_tensor_bytes), 166.88, 0.005);

  // One expert in 46 blocks with its router row, and a bias in all but the three hash layers.
  constexpr int64_t kPerExpert = 46 * (13'369'344 + 8192) + 43 * 4;
  EXPECT_EQ(k160.source_tensor_bytes, k160.tensor_bytes() + 96 * kPerExpert);
  for (const auto& [keep, stated] : {std::pair{180, 120.11}, std::pair{144, 97.96}}) {
    const PruneSizes sizes = prune_sizes(folder.path(), keep);
    EXPECT_NEAR(gigabytes(sizes.tensor_bytes()), stated, 0.005);
    EXPECT_EQ(sizes.tensor_bytes(), k160.tensor_bytes() + (keep - 160) * kPerExpert);
    EXPECT_EQ(sizes.tensors(), k160.tensors() + (keep - 160) * 46 * 6);
  }
}

}  // namespace
}  // namespace ds4::reap
