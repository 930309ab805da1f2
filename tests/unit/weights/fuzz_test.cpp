// Random damage to a whole checkpoint: it loads or gives a named error, never anything else. Run
// under ASan and UBSan (preset asan) for the full meaning.
#include <gtest/gtest.h>

#include <random>

#include "engine/api/inventory.h"
#include "engine/weights/weights.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

class FuzzTest : public testing::Test {
 protected:
  // Loads what lies in the folder; counts refusals.
  void load() {
    const std::string error = error_of([&] {
      take_inventory(folder_.path());
      load_weights(folder_.path());
    });
    n_refused_ += !error.empty();
  }
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  std::string damaged(std::string text, size_t reach) {
    static constexpr char kPieces[] = "0123456789-[]{}\",:.eE\\\xff\x00 ";
    const size_t n = 1 + below(3);
    for (size_t i = 0; i < n; ++i) {
      const size_t at = below(std::min(reach, text.size()));
      switch (below(4)) {
        case 0:
          text[at] = kPieces[below(sizeof kPieces - 1)];
          break;
        case 1:
          text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
          break;
        case 2:
          text.erase(at, 1 + below(8));
          break;
        default:
          text.insert(at, 1, kPieces[below(sizeof kPieces - 1)]);
      }
    }
    return text;
  }

  std::mt19937 random_{20260801};
  TemporaryFolder folder_;
  TestModel model_;
  int n_refused_ = 0;
};

TEST_F(FuzzTest, DamagedHeaders) {
  model_.write(folder_.path());
  const std::string good = safetensors_bytes(model_.tensors);
  const size_t header = good.find("}}") + 2;
  for (int round = 0; round < 400; ++round) {
    write_text(folder_.path() / "model.safetensors", damaged(good, header));
    load();
  }
  EXPECT_GT(n_refused_, 200);
}

TEST_F(FuzzTest, TruncatedFiles) {
  model_.write(folder_.path());
  const std::string good = safetensors_bytes(model_.tensors);
  for (int round = 0; round < 100; ++round) {
    write_text(folder_.path() / "model.safetensors", good.substr(0, below(good.size())));
    load();
  }
  EXPECT_EQ(n_refused_, 100);
}

TEST_F(FuzzTest, DamagedConfig) {
  model_.write(folder_.path());
  const std::string good = model_.config.dump();
  for (int round = 0; round < 400; ++round) {
    write_text(folder_.path() / "config.json", damaged(good, good.size()));
    load();
  }
  EXPECT_GT(n_refused_, 200);
}

TEST_F(FuzzTest, DamagedIndex) {
  model_.write(folder_.path());
  std::filesystem::rename(folder_.path() / "model.safetensors", folder_.path() / "s.safetensors");
  nlohmann::json index;
  for (const auto& [name, tensor] : model_.tensors) index["weight_map"][name] = "s.safetensors";
  const std::string good = index.dump();
  for (int round = 0; round < 200; ++round) {
    write_text(folder_.path() / "model.safetensors.index.json", damaged(good, good.size()));
    load();
  }
  EXPECT_GT(n_refused_, 100);
}

}  // namespace
}  // namespace ds4::weights
