// The text and JSON of an inventory.
#include "runners/cli/inspect.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds4::cli {
namespace {

Inventory example() {
  Inventory inventory;
  inventory.n_shards = 2;
  inventory.n_tensors = 1234;
  inventory.tensor_bytes = 1234567;
  inventory.bytes_per_token = 1000;
  inventory.kv_bytes_per_token_fp8 = 3514.25;
  inventory.kv_bytes_per_token_bf16 = 6880;
  inventory.kv_fixed_bytes_fp8 = 3214336;
  inventory.components = {{"LM head", 1, 1000, 1000}, {"MTP blocks", 1233, 1233567, 0}};
  inventory.dtypes = {{"BF16", 1234, 1234567}};
  inventory.experts_per_layer = {4, 4, 3};
  inventory.mtp = "classic";
  inventory.identity = "abc";
  return inventory;
}

TEST(Inspect, TextHoldsExactNumbersInAlignedColumns) {
  const std::string text = inspect_text(example());
  EXPECT_NE(text.find("4 in layers 0-1, 3 in layer 2"), std::string::npos) << text;
  EXPECT_NE(text.find("\nLM head           1      1,000        1,000\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\nMTP blocks    1,233  1,233,567            -\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("3,514.25 bytes/token"), std::string::npos) << text;
  EXPECT_NE(text.find("6,880 bytes/token"), std::string::npos) << text;
  EXPECT_NE(text.back(), '\n');
}

TEST(Inspect, JsonHoldsEveryField) {
  const auto object = nlohmann::json::parse(inspect_json(example()));
  EXPECT_EQ(object["format"], "ds4-inventory-1");
  EXPECT_EQ(object["tensor_bytes"], 1234567);
  EXPECT_EQ(object["kv_bytes_per_token_fp8"], 3514.25);
  EXPECT_EQ(object["components"][1]["name"], "MTP blocks");
  EXPECT_EQ(object["dtypes"][0]["bytes"], 1234567);
  EXPECT_EQ(object["experts_per_layer"], (std::vector<int>{4, 4, 3}));
}

}  // namespace
}  // namespace ds4::cli
