// The inventory of the real K160 checkpoint, from its headers laid out as sparse files of 100.4
// GiB: totals equal to model.md 7.1 and 4.3, under 2 s and 300 MB.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "engine/api/inventory.h"
#include "tests/unit/weights/model_files.h"
#include "tests/unit/weights/real_headers.h"

namespace ds4::weights {
namespace {

namespace fs = std::filesystem;

// Runs `action` in a child, so that what it allocates counts for nobody else.
template <typename Action>
int in_child(Action action, rusage* usage) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(action());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      ::_exit(254);
    }
  }
  int status = 0;
  ::wait4(child, &status, 0, usage);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

int64_t per_token(const Inventory& inventory, const std::string& name) {
  for (const auto& part : inventory.components) {
    if (part.name == name) return part.bytes_per_token;
  }
  return -1;
}

void check_totals(const Inventory& inventory) {
  EXPECT_EQ(inventory.n_shards, 48);
  EXPECT_EQ(inventory.n_tensors, 45821);
  EXPECT_EQ(inventory.tensor_bytes, 107'803'320'952);
  EXPECT_EQ(inventory.bytes_per_token, 11'183'748'316);
  EXPECT_EQ(inventory.kv_bytes_per_token_fp8, 3514.25);
  EXPECT_EQ(inventory.kv_bytes_per_token_bf16, 6880);
  EXPECT_EQ(inventory.kv_fixed_bytes_fp8, int64_t{43} * 128 * 584);
  EXPECT_EQ(inventory.experts_per_layer, std::vector<int>(43, 160));
  EXPECT_EQ(inventory.mtp, "dspark");
  EXPECT_EQ(per_token(inventory, "attention projections"), 4'599'478'144);
  EXPECT_EQ(per_token(inventory, "routed experts"), 3'449'290'752);
  EXPECT_EQ(per_token(inventory, "shared expert"), 1'082'196'480);
  EXPECT_EQ(per_token(inventory, "LM head"), 1'059'061'760);
  EXPECT_EQ(per_token(inventory, "compressors"), 525'722'624);
  EXPECT_EQ(per_token(inventory, "indexers"), 275'353'344);
  EXPECT_EQ(per_token(inventory, "hyper-connections"), 135'537'756);
  EXPECT_EQ(per_token(inventory, "router"), 56'386'560);
  EXPECT_EQ(per_token(inventory, "norms and embedding"), 720'896);
}

TEST(RealHeaders, InventoryEqualsTheModelsTotals) {
  const fs::path source = real_headers_folder();
  if (source.empty()) GTEST_SKIP() << "no ../shared (set DS4_SHARED)";
  const TemporaryFolder folder;
  rusage usage{};
  const int laid_out = in_child(
      [&] {
        const nlohmann::ordered_json headers = read_real_headers();
        if (headers.is_null()) return 1;
        for (const auto& shard : headers["shards"]) {
          if (!lay_out_shard(shard, folder.path())) return 2;
        }
        return 0;
      },
      &usage);
  if (laid_out == 1) GTEST_SKIP() << "gzip cannot read the header data";
  if (laid_out == 2) GTEST_SKIP() << "the temporary folder's file system takes no sparse files";
  ASSERT_EQ(laid_out, 0);
  fs::copy_file(source / "config.json", folder.path() / "config.json");

  const auto start = std::chrono::steady_clock::now();
  const int failed = in_child(
      [&] {
        check_totals(take_inventory(folder.path()));
        return testing::Test::HasFailure() ? 1 : 0;
      },
      &usage);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(failed, 0);
  const double cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  std::printf("inventory of 45,821 tensors: %.2f s (%.2f s of CPU), %.0f MB peak\n",
              seconds.count(), cpu_s, static_cast<double>(usage.ru_maxrss) / 1e3);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(cpu_s, 2);  // elapsed time would measure whatever else runs beside the test
  EXPECT_LT(usage.ru_maxrss, 300'000);
#endif
}

}  // namespace
}  // namespace ds4::weights
