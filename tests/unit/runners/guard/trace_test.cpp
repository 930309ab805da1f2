// Telemetry: written, read back, cut off, and what is no telemetry.
#include "runners/guard/trace.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/guard/course.h"
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

// 1,000 readings over 100 s of a machine of 1,000 bytes; one of them, in decode, is a peak.
TEST(GuardCourse, KeepsTheLeastAndTheMostOfEachStretch) {
  Trace trace;
  trace.limits = example_limits();
  for (int i = 0; i < 1000; ++i) {
    Sample reading;
    reading.time_s = 0.1 * i;
    reading.phase = i < 500 ? Phase::kLoad : Phase::kDecode;
    reading.total = 1000;
    reading.available = i == 777 ? 5 : 900 - i / 10;
    reading.gpu_target = i;
    trace.samples.push_back(reading);
  }
  trace.samples[10].available = -1;  // could not be read
  const std::vector<probes::Sample> course = course_of(trace, 20);
  std::vector<probes::Sample> machine, floors;
  for (const probes::Sample& sample : course) {
    if (sample.metric == "course_machine_memory") machine.push_back(sample);
    if (sample.metric == "course_floor") floors.push_back(sample);
  }
  EXPECT_GE(machine.size(), 40u);
  EXPECT_LE(machine.size(), 42u);
  EXPECT_EQ(machine.front().time_s, 0);
  EXPECT_DOUBLE_EQ(machine.back().time_s, 99.9);
  const auto peak = std::find_if(machine.begin(), machine.end(),
                                 [](const probes::Sample& s) { return s.value == 995; });
  ASSERT_NE(peak, machine.end());
  EXPECT_DOUBLE_EQ(peak->time_s, 77.7);
  EXPECT_EQ(peak->phase, "decode");
  EXPECT_TRUE(std::is_sorted(machine.begin(), machine.end(),
                             [](const auto& a, const auto& b) { return a.time_s < b.time_s; }));
  ASSERT_EQ(floors.size(), 2u) << "of load, and of decode from its first kept reading on";
  EXPECT_EQ(floors[0].value, 1000);
  EXPECT_EQ(floors[1].value, 1003);
  EXPECT_EQ(course.size(), 2 * machine.size() + floors.size());
  EXPECT_TRUE(course_of(Trace{}).empty());
}

}  // namespace
}  // namespace ds4::runners::guard
