// The protocol of the probes: what counts, what is thrown out, and that both are said.
#include "probes/recorder.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/base/error.h"
#include "probes/tagged.h"

namespace ds4::probes {
namespace {

using ::testing::ElementsAre;

TEST(Recorder, LeavesTheFirstPassOut) {
  Recorder recorder({.passes = 3});
  double value = 0;
  const Series& series =
      recorder.measure("ceilings", "read_rate", "numbers", [&] { return ++value; });
  EXPECT_THAT(series.kept(), ElementsAre(2, 3, 4));
  EXPECT_EQ(series.median(), 3);
  EXPECT_EQ(recorder.median("read_rate", "numbers"), 3);
  EXPECT_EQ(recorder.median("read_rate", "others"), 0);
}

TEST(Recorder, ThrowsOutWhatWasSlowedDownAndTriesAgain) {
  // Asked before the first pass and behind each, and once more behind a rest: passes 2 and 3 are
  // touched by the answer between them.
  int asked = 0;
  Protocol protocol{.passes = 4};
  protocol.slowed_by = [&] { return ++asked == 3 ? "power cap" : ""; };
  Recorder recorder(protocol);
  double value = 0;
  const Series& series =
      recorder.measure("ceilings", "read_rate", "numbers", [&] { return ++value; });
  EXPECT_THAT(series.kept(), ElementsAre(2, 4, 5, 6));
  ASSERT_EQ(series.passes.size(), 5u);
  EXPECT_EQ(series.passes[1].discarded, "power cap");
  EXPECT_EQ(series.passes[1].value, 3);
}

TEST(Recorder, APassThatBeganSlowedDownIsThrownOutToo) {
  int asked = 0;
  Protocol protocol{.passes = 2};
  protocol.slowed_by = [&] { return ++asked == 1 ? "too hot" : ""; };
  Recorder recorder(protocol);
  double value = 0;
  const Series& series =
      recorder.measure("ceilings", "read_rate", "numbers", [&] { return ++value; });
  EXPECT_EQ(series.passes[0].discarded, "too hot");
  EXPECT_THAT(series.kept(), ElementsAre(3, 4));
}

TEST(Recorder, GivesUpWhenAllAreSlowedDownAndShowsThem) {
  Protocol protocol{.passes = 2};
  protocol.slowed_by = [] { return "too hot"; };
  Recorder recorder(protocol);
  const Series& series = recorder.measure("ceilings", "read_rate", "numbers", [] { return 7; });
  EXPECT_EQ(series.passes.size(), 4u);
  EXPECT_TRUE(series.kept().empty());
  EXPECT_TRUE(series.all_discarded());
  EXPECT_EQ(series.median(), 7);
}

TEST(Recorder, TakesTheFewestPassesWhenTimeIsUp) {
  Recorder recorder({.passes = 100, .most_s = 0});
  EXPECT_EQ(recorder.measure("ceilings", "read_rate", "a", [] { return 1; }).passes.size(),
            static_cast<size_t>(Protocol::kFewest));
}

TEST(RunProbes, GoesOnBehindWhatThisMachineHasNot) {
  Recorder recorder({.passes = 1});
  std::vector<std::string> names;
  run_probes({{"paths", "one", 1,
               [](Recorder&) { throw Error(ErrorCode::kMachine, "no such memory", ""); }},
              {"paths", "two", 1,
               [](Recorder& r) { r.measure("paths", "path_rate", "two", [] { return 5; }); }}},
             recorder, [&](const ProbeProgress& progress) { names.push_back(progress.name); });
  EXPECT_THAT(names, ElementsAre("one", "two", ""));
  ASSERT_EQ(recorder.series().size(), 2u);
  EXPECT_TRUE(recorder.series()[0].passes.empty());
  EXPECT_THAT(recorder.series()[0].note, ::testing::HasSubstr("no such memory"));
  EXPECT_EQ(recorder.series()[1].median(), 5);
}

TEST(RunProbes, DoesNotHideOtherErrors) {
  Recorder recorder({.passes = 1});
  EXPECT_THROW(run_probes({{"paths", "one", 1,
                            [](Recorder&) { throw Error(ErrorCode::kIo, "a disk is full", ""); }}},
                          recorder, nullptr),
               Error);
}

// A work that was not all done looks fast: no such figure may stand in a table.
TEST(Recorder, RefusesWhatCannotBe) {
  Protocol protocol{.passes = 3};
  protocol.most = [](const std::string& metric, const std::string&) {
    return metric == "read_rate" ? 100.0 : 0.0;
  };
  Recorder recorder(protocol);
  const auto read = [&](double value) {
    recorder.measure("ceilings", "read_rate", "numbers", [&] { return value; });
  };
  EXPECT_NO_THROW(read(104));  // clocks are told in whole steps
  EXPECT_THROW(read(106), ImpossibleFigure);
  EXPECT_THROW(read(0), ImpossibleFigure);
  EXPECT_THROW(read(-1), ImpossibleFigure);
  EXPECT_THROW(read(std::nan("")), ImpossibleFigure);
  EXPECT_THROW(read(HUGE_VAL), ImpossibleFigure);
  EXPECT_NO_THROW(recorder.add("ceilings", "copy_rate", "numbers", 1e30));  // no bound is known
  EXPECT_NO_THROW(recorder.add("ceilings", "read_share", "numbers", 0));
  EXPECT_EQ(recorder.series().size(), 3u);
}

TEST(RunProbes, ARefusedFigureIsSaidAndTheOthersGoOn) {
  Protocol protocol{.passes = 3};
  protocol.most = [](const std::string&, const std::string&) { return 100.0; };
  Recorder recorder(protocol);
  const auto probe = [](const char* name, double value) {
    return Probe{"ceilings", name, 1, [=](Recorder& r) {
                   r.measure("ceilings", "read_rate", name, [=] { return value; });
                 }};
  };
  run_probes({probe("impossible", 1e6), probe("possible", 50)}, recorder, {});
  ASSERT_EQ(recorder.series().size(), 2u);
  EXPECT_TRUE(recorder.series()[0].refused);
  EXPECT_TRUE(recorder.series()[0].passes.empty());
  EXPECT_THAT(recorder.series()[0].note, ::testing::HasSubstr("cannot pass 100"));
  EXPECT_FALSE(recorder.series()[1].refused);
  EXPECT_EQ(recorder.series()[1].median(), 50);
}

TEST(Tagged, NamesAreReadBack) {
  for (const Tagged& tagged : {Tagged{"read_rate", "F32 sums", ""},
                               {"read_rate", "64.0 KiB, 8 threads", "power cap"},
                               {"gemv_rate", "Q8_0, 32768 x 61440, M = 1", "too hot"},
                               {"operation_time", "attend {all}", ""}}) {
    const Tagged back = read_tagged(tagged_name(tagged));
    EXPECT_EQ(back.metric, tagged.metric);
    EXPECT_EQ(back.of, tagged.of);
    EXPECT_EQ(back.discarded, tagged.discarded);
  }
  EXPECT_EQ(read_tagged("ttft").metric, "ttft");
  EXPECT_EQ(read_tagged("ttft").of, "");
  EXPECT_EQ(read_tagged("").metric, "");
  EXPECT_EQ(read_tagged("a{of=").metric, "a{of=");
}

}  // namespace
}  // namespace ds4::probes
