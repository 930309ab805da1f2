// Telemetry: written, read back, cut off, and what is no telemetry.
#include "runners/guard/trace.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/guard/recorder.h"
#include "tests/support/command.h"

namespace ds4::runners::guard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Limits example_limits() {
  Limits limits;
  for (size_t i = 0; i < limits.floor_bytes.size(); ++i) {
    limits.floor_bytes[i] = static_cast<int64_t>(1000 + i);
  }
  limits.rate_hz = 20;
  limits.reaction_s = 0.25;
  limits.grace_s = 3;
  return limits;
}

Sample full_sample(int64_t base) {
  Sample sample;
  for (const SampleField& field : sample_fields()) sample.*field.value = base++;
  return sample;
}

TEST(GuardTrace, EveryFieldComesBack) {
  const test_support::TemporaryFolder folder;
  TraceWriter writer;
  Sample first = full_sample(1000000), second = full_sample(1000000);
  first.time_s = 0.125;
  second.time_s = 0.25;
  second.phase = Phase::kDecode;
  second.available = 5;
  std::string text = trace_header(example_limits(), {"a note"});
  text += writer.line(first);
  const std::string change(writer.line(second));
  text += change;
  text += writer.event(0.3, "soft", "floor");
  EXPECT_THAT(change, HasSubstr("available"));
  EXPECT_THAT(change, Not(HasSubstr("cached"))) << "unchanged";
  write_file_atomic(folder / "t.jsonl", text);
  const Trace trace = read_trace(folder / "t.jsonl");
  ASSERT_EQ(trace.samples.size(), 2u);
  for (const SampleField& field : sample_fields()) {
    EXPECT_EQ(trace.samples[0].*field.value, first.*field.value) << field.name;
    EXPECT_EQ(trace.samples[1].*field.value, second.*field.value) << field.name;
  }
  EXPECT_DOUBLE_EQ(trace.samples[1].time_s, 0.25);
  EXPECT_EQ(trace.samples[1].phase, Phase::kDecode);
  ASSERT_TRUE(trace.limits);
  EXPECT_EQ(trace.limits->floor_bytes, example_limits().floor_bytes);
  EXPECT_EQ(trace.limits->grace_s, 3);
  EXPECT_FALSE(trace.boot_id.empty());
  ASSERT_EQ(trace.events.size(), 1u);
  EXPECT_EQ(trace.events[0].what, "soft");
  EXPECT_EQ(trace.events[0].why, "floor");
  EXPECT_FALSE(trace.torn);
}

TEST(GuardTrace, AFieldThatBecomesUnknownIsWritten) {
  TraceWriter writer;
  Sample sample = full_sample(10);
  writer.line(sample);
  sample.available = -1;
  EXPECT_THAT(std::string(writer.line(sample)), HasSubstr("\"available\":-1"));
}

TEST(GuardTrace, TheCutLastLineIsLeftOut) {
  const test_support::TemporaryFolder folder;
  write_file_atomic(folder / "t.jsonl", "{\"t\":0,\"available\":5}\n{\"t\":0.1,\"avail");
  const Trace trace = read_trace(folder / "t.jsonl");
  EXPECT_EQ(trace.samples.size(), 1u);
  EXPECT_TRUE(trace.torn);
}

TEST(GuardTrace, OtherFilesAreRefusedByLine) {
  const test_support::TemporaryFolder folder;
  for (const char* line : {"{\"t\":0,\"avialable\":5}", "{\"available\":5}", "lorem", "[]",
                           "{\"t\":0,\"phase\":\"lunch\"}", "{\"format\":\"ds4-telemetry-9\"}"}) {
    write_file_atomic(folder / "t.jsonl", std::string("{\"t\":0,\"available\":5}\n") + line + "\n");
    try {
      read_trace(folder / "t.jsonl");
      FAIL() << line;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("t.jsonl:2: ")) << line;
    }
  }
}

TEST(GuardRecorder, EveryLineIsInTheFile) {
  const test_support::TemporaryFolder folder;
  std::string expected = "header\n";
  {
    Recorder recorder(folder / "t.jsonl", expected);
    for (int i = 0; i < 100; ++i) {
      const std::string line = std::to_string(i) + "\n";
      recorder.add(line, i % 7 == 0);
      expected += line;
      if (i == 50) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(recorder.dropped(), 0);
  }
  EXPECT_EQ(read_file(folder / "t.jsonl"), expected);
}

TEST(GuardRecorder, RefusesAPlaceItCannotWriteTo) {
  const test_support::TemporaryFolder folder;
  EXPECT_THROW(Recorder(folder / "absent/t.jsonl", ""), Error);
  EXPECT_THROW(Recorder("/dev/full", "header"), Error);
}

}  // namespace
}  // namespace ds4::runners::guard
