// Published figures: well-formed, with their sources, shown beside a run that corresponds and never
// judged.
#include "reports/published/published.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "probes/metric.h"
#include "reports/figures/machine.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(PublishedRuns, EachHasASourceAHardwareAndCaveats) {
  std::set<std::string> names;
  for (const Published& run : published_runs()) {
    SCOPED_TRACE(run.name);
    EXPECT_TRUE(names.insert(run.name).second);
    for (const std::string& text :
         {run.what, run.source, run.hardware, run.machine, run.engine, run.checkpoint}) {
      EXPECT_FALSE(text.empty());
    }
    EXPECT_FALSE(run.caveats.empty());
    EXPECT_FALSE(run.figures.empty());
    for (const PublishedFigure& figure : run.figures) {
      EXPECT_FALSE(figure.definition.empty()) << figure.figure;
      EXPECT_GT(figure.value, 0) << figure.figure;
      const bool is_score = probes::find_metric(figure.figure) == nullptr;
      EXPECT_TRUE(!is_score || figure.value <= 1) << figure.figure;
    }
    EXPECT_EQ(find_published(run.name).name, run.name);
  }
  EXPECT_TRUE(names.contains("k160-mtp2-200k"));
  EXPECT_THROW(find_published("k161"), Error);
}

// The rates of the model card are its own prompt lengths and times to first token.
TEST(PublishedRuns, PrefillRatesAreTheTokensOverTheTime) {
  int checked = 0;
  for (const Published& run : published_runs()) {
    for (const PublishedFigure& rate : run.figures) {
      if (rate.definition != "prompt tokens / TTFT") continue;
      for (const PublishedFigure& ttft : run.figures) {
        if (ttft.figure != "ttft" || ttft.suite != rate.suite ||
            ttft.prompt_tokens != rate.prompt_tokens) {
          continue;
        }
        EXPECT_NEAR(static_cast<double>(rate.prompt_tokens) / ttft.value, rate.value, 0.002);
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 6);
}

TEST(HardwareClass, IsReadFromTheGpusOfARun) {
  EXPECT_EQ(hardware_class(R"({"gpus":["NVIDIA GB10"]})"), "spark");
  EXPECT_EQ(hardware_class(R"({"gpus":["NVIDIA H200","NVIDIA H200"]})"), "h200-x2");
  EXPECT_EQ(hardware_class(R"({"gpus":[]})"), "");
  EXPECT_EQ(hardware_class(R"({"cpu":"x"})"), "");
  EXPECT_EQ(hardware_class("not json"), "");
}

TEST(Machine, IsReadAlsoOfSeveralThatWereJoined) {
  const Machine one = read_machine(
      R"({"cpu":"a","gpus":["X","X"],"memory_bytes":8e9,"kernel":"6.1","gpu_driver":"580"})");
  EXPECT_THAT(one.cpus, testing::ElementsAre("a"));
  EXPECT_THAT(one.gpus, testing::ElementsAre("X", "X"));
  EXPECT_EQ(one.memory_bytes, 8e9);
  EXPECT_THAT(one.gpu_drivers, testing::ElementsAre("580"));
  const Machine joined =
      read_machine(R"({"cpu":["a","b"],"gpus":[["X"],[]],"memory_bytes":[1,2],"kernel":"6.1"})");
  EXPECT_THAT(joined.cpus, testing::ElementsAre("a", "b"));
  EXPECT_THAT(joined.gpus, testing::ElementsAre("X"));
  EXPECT_FALSE(joined.memory_bytes);
  EXPECT_THAT(joined.kernels, testing::ElementsAre("6.1"));
  EXPECT_TRUE(read_machine("no JSON").cpus.empty());
}

TEST(Machine, IsOfOneKindWhateverItsKernelAndDriver) {
  const std::string now = R"({"cpu":"a","threads":8,"gpus":["X"],"memory_bytes":8589934592)";
  const std::string kind = machine_kind(now + R"(,"kernel":"6.1"})");
  EXPECT_EQ(machine_kind(now + R"(,"kernel":"7","gpu_driver":"1"})"), kind);
  EXPECT_EQ(machine_kind(R"({"cpu":"a","threads":8,"gpus":["X"],"memory_bytes":8588000000})"), kind)
      << "what the kernel keeps for itself";
  EXPECT_NE(machine_kind(R"({"cpu":"a","threads":8,"gpus":[],"memory_bytes":8589934592})"), kind);
  EXPECT_NE(machine_kind(R"({"cpu":"a","threads":4,"gpus":["X"],"memory_bytes":8589934592})"),
            kind);
}

ExampleRun spark_run() {
  ExampleRun run(3);
  run.data.run.profile_name = "k160-mtp2-200k";
  run.data.run.machine = R"({"cpu":"","gpus":["NVIDIA GB10"]})";
  run.launch("ok");
  for (int i = 0; i < 3; ++i) {
    StoredAttempt& attempt = run.attempt(i, "correct", 1);
    attempt.prompt_tokens = i < 2 ? 186390 : 8000;
    attempt.first_token_s = i < 2 ? 400 + i : 12;
    attempt.events = {{attempt.first_token_s, 1}, {attempt.first_token_s + 1, 20}};
  }
  return run;
}

TEST(AgainstPublished, ShowsWhatIsOfTheSameLengthAndJudgesNothing) {
  const ExampleRun run = spark_run();
  const PublishedComparison comparison =
      compare_with_published(find_published("k160-mtp2-200k"), run.data);
  const auto line = [&](const std::string& figure, int64_t tokens) -> const PublishedLine* {
    for (const PublishedLine& l : comparison.lines) {
      if (l.published.figure == figure && l.published.prompt_tokens == tokens) return &l;
    }
    return nullptr;
  };
  ASSERT_TRUE(line("ttft", 186390));
  EXPECT_EQ(*(*line("ttft", 186390)->now)->value, 400.5);
  EXPECT_EQ((*line("ttft", 186390)->now)->n, 2);
  EXPECT_EQ(*(*line("exact", 8232)->now)->value, 1);
  EXPECT_FALSE(line("ttft", 136534)) << "no prompt of that length";
  EXPECT_FALSE(line("ttft", 182112)) << "of another suite";
  EXPECT_GT(comparison.n_without, 0);
  const std::string text = published_text(comparison, false);
  EXPECT_THAT(text, AllOf(HasSubstr("NVIDIA DGX Spark"), HasSubstr("= NOT JUDGED"),
                          HasSubstr("+10.5 %"), HasSubstr("Single values without spread"),
                          HasSubstr("prompts were not published")));
  const auto json = nlohmann::json::parse(published_json(comparison));
  EXPECT_EQ(json.at("format"), "ds4-published-1");
  EXPECT_EQ(json.at("figures").size(), comparison.lines.size());
  EXPECT_THAT(published_markdown(comparison), HasSubstr("| ttft |"));
}

TEST(AgainstPublished, AnswersOfGeneratedWeightsAreNotHeldAgainstAnyScore) {
  ExampleRun run = spark_run();
  run.data.run.checkpoint_identity = "synthetic-1";
  for (const PublishedLine& line :
       compare_with_published(find_published("k160-mtp2-200k"), run.data).lines) {
    EXPECT_NE(line.published.figure, "exact");
  }
}

TEST(AgainstPublished, APageShowsWhatItCorrespondsTo) {
  ExampleRun run = spark_run();
  ASSERT_EQ(corresponding(run.data.run).size(), 1u);
  EXPECT_EQ(corresponding(run.data.run)[0]->name, "k160-mtp2-200k");
  TemporaryFolder folder;
  auto store = Store::open(folder.path() / "results.db");
  run.write(*store);
  const auto has_section = [](const Page& page) {
    for (const Section& section : page.sections) {
      if (section.id == "published") return true;
    }
    return false;
  };
  EXPECT_TRUE(has_section(build_page(*store, run.data.run.id)));
  run.data.run.id = "bbbb-2";
  run.data.run.machine = R"({"gpus":["NVIDIA H200"]})";
  EXPECT_TRUE(corresponding(run.data.run).empty());
  run.write(*store);
  EXPECT_FALSE(has_section(build_page(*store, "bbbb-2")));
}

}  // namespace
}  // namespace ds4::reports
