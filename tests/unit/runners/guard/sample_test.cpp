// What the kernel's files say, from texts and from a folder that stands for /proc.
#include "runners/guard/sample.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/guard/sampler.h"
#include "tests/support/command.h"

namespace ds4::runners::guard {
namespace {

TEST(GuardSample, MeminfoFieldsAreBytes) {
  Sample sample;
  parse_meminfo(
      "MemTotal:       24684092 kB\nMemFree:         1000 kB\nMemAvailable:   23416320 kB\n"
      "Buffers:           48360 kB\nCached:           817412 kB\nSwapCached:            7 kB\n"
      "Unevictable:       18932 kB\nMlocked:           17976 kB\nSwapTotal:             0 kB\n"
      "SwapFree:              0 kB\nAnonPages:        701656 kB\nShmem:              8856 kB\n"
      "SReclaimable:     534964 kB\nHugePages_Total:       3\n",
      sample);
  EXPECT_EQ(sample.total, int64_t{24684092} * 1024);
  EXPECT_EQ(sample.free, 1000 * 1024);
  EXPECT_EQ(sample.available, int64_t{23416320} * 1024);
  EXPECT_EQ(sample.cached, int64_t{817412} * 1024) << "not SwapCached";
  EXPECT_EQ(sample.reclaimable, int64_t{534964} * 1024);
  EXPECT_EQ(sample.anonymous, int64_t{701656} * 1024);
  EXPECT_EQ(sample.shared, 8856 * 1024);
  EXPECT_EQ(sample.mlocked, 17976 * 1024);
  EXPECT_EQ(sample.unevictable, 18932 * 1024);
  EXPECT_EQ(sample.swap_total, 0);
  EXPECT_EQ(sample.swap_free, 0);
}

TEST(GuardSample, TornAndStrangeTextsChangeNothing) {
  for (const char* text : {"", "MemAvailable", "MemAvailable:", "MemAvailable: x kB\n",
                           "\n\n:", "memavailable: 5 kB", "MemAvailable:    -5 kB"}) {
    Sample sample;
    parse_meminfo(text, sample);
    EXPECT_FALSE(sample.readable()) << text;
  }
}

TEST(GuardSample, PressureInHundredthsOfAPercent) {
  Sample sample;
  parse_pressure(
      "some avg10=12.34 avg60=0.50 avg300=0.00 total=456789\n"
      "full avg10=0.07 avg60=0.00 avg300=0.00 total=1234\n",
      sample);
  EXPECT_EQ(sample.psi_some_avg10, 1234);
  EXPECT_EQ(sample.psi_full_avg10, 7);
  EXPECT_EQ(sample.psi_some_us, 456789);
  EXPECT_EQ(sample.psi_full_us, 1234);
}

TEST(GuardSample, VmstatAddsBothKindsOfScan) {
  Sample sample;
  parse_vmstat(
      "pswpin 3\npswpout 44\npgscan_kswapd 100\npgscan_direct 7\npgscan_direct_throttle 9\n"
      "pgscan_anon 50\n",
      sample);
  EXPECT_EQ(sample.pages_scanned, 107);
  EXPECT_EQ(sample.pages_swapped_out, 44);
}

TEST(GuardSampler, ReadsThisMachine) {
  Sampler sampler;
  Sample sample;
  sampler.read(sample);
  EXPECT_TRUE(sample.readable());
  EXPECT_GT(sample.total, sample.available);
  EXPECT_GT(sample.free, 0);
  EXPECT_GT(sample.pages_scanned, -1);
}

TEST(GuardSampler, SeesAFileThatChangesAndOneThatIsGone) {
  const test_support::TemporaryFolder folder;
  write_file_atomic(folder / "meminfo", "MemTotal: 100 kB\nMemAvailable: 50 kB\n");
  Sampler sampler(folder.path());
  Sample sample;
  sampler.read(sample);
  EXPECT_EQ(sample.available, 50 * 1024);
  EXPECT_EQ(sample.psi_full_us, -1) << "there is no such file";
  std::filesystem::resize_file(folder / "meminfo", 0);
  sampler.read(sample);
  EXPECT_FALSE(sample.readable());
}

TEST(GuardSampler, RefusesAMachineWithoutTheFigure) {
  const test_support::TemporaryFolder folder;
  EXPECT_THROW(Sampler(folder.path()), Error);
  write_file_atomic(folder / "meminfo", "MemTotal: 100 kB\n");
  EXPECT_THROW(Sampler(folder.path()), Error);
}

}  // namespace
}  // namespace ds4::runners::guard
