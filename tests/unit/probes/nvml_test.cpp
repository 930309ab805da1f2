// The reader of NVIDIA's management library, against a library of our own.
#include "probes/nvml.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace ds4::probes {
namespace {

using ::testing::HasSubstr;

class NvmlTest : public ::testing::Test {
 protected:
  ~NvmlTest() override {
    ::unsetenv("FAKE_NVML_INIT");
    ::unsetenv("FAKE_NVML_PROCESSES");
  }
  std::unique_ptr<Nvml> open() { return Nvml::open(why_not_, FAKE_NVML); }
  std::string why_not_;
};

TEST_F(NvmlTest, SaysWhyThereIsNone) {
  EXPECT_FALSE(Nvml::open(why_not_, "libno-such-thing.so.1"));
  EXPECT_EQ(why_not_, "libno-such-thing.so.1 is not installed");
  EXPECT_FALSE(Nvml::open(why_not_, "libm.so.6"));
  EXPECT_THAT(why_not_, HasSubstr("lacks functions"));
  ::setenv("FAKE_NVML_INIT", "18", 1);
  EXPECT_FALSE(open());
  EXPECT_EQ(why_not_, "Driver/library version mismatch");
}

TEST_F(NvmlTest, FactsOfEveryGpu) {
  const auto nvml = open();
  ASSERT_TRUE(nvml) << why_not_;
  EXPECT_EQ(nvml->driver(), "580.95.05");
  EXPECT_EQ(nvml->cuda_version(), 13000);
  ASSERT_EQ(nvml->gpus().size(), 2u);
  const GpuFacts& card = nvml->gpus()[0];
  EXPECT_EQ(card.name, "Card");
  EXPECT_EQ(card.max_sm_clock_mhz, 2000);
  EXPECT_EQ(card.max_memory_clock_mhz, 2700);
  EXPECT_EQ(card.slowdown_c, 90);
  EXPECT_EQ(card.persistence, 1);
  EXPECT_EQ(nvml->gpus()[1].slowdown_c, -1);
}

TEST_F(NvmlTest, StateNowAndWhatIsNotTold) {
  ::setenv("FAKE_NVML_PROCESSES", "2", 1);
  const auto nvml = open();
  ASSERT_TRUE(nvml) << why_not_;
  GpuState state;
  nvml->read(0, state);
  EXPECT_EQ(state.total_bytes, 80'000'000'000);
  EXPECT_EQ(state.free_bytes, 79'000'000'000);
  EXPECT_EQ(state.temperature_c, 41);
  EXPECT_EQ(state.sm_clock_mhz, 1980);
  EXPECT_EQ(state.memory_clock_mhz, 2619);
  EXPECT_EQ(state.throttle_reasons, kThrottlePowerCap | kThrottleHwThermal);
  ASSERT_EQ(state.n_processes, 2);
  EXPECT_EQ(state.processes[1].pid, 101);
  EXPECT_EQ(state.processes[1].used_bytes, -1);
  nvml->read(1, state);
  EXPECT_EQ(state.total_bytes, -1);
  EXPECT_EQ(state.free_bytes, -1);
  EXPECT_EQ(state.processes[0].used_bytes, 500'000'000);
}

TEST_F(NvmlTest, MoreProcessesThanFitAreNotMadeUp) {
  ::setenv("FAKE_NVML_PROCESSES", "65", 1);
  const auto nvml = open();
  ASSERT_TRUE(nvml) << why_not_;
  GpuState state;
  nvml->read(0, state);
  EXPECT_EQ(state.n_processes, -1);
  ::setenv("FAKE_NVML_PROCESSES", "64", 1);
  nvml->read(0, state);
  EXPECT_EQ(state.n_processes, 64);
}

}  // namespace
}  // namespace ds4::probes
