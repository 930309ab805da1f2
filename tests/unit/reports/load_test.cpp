// Serving figures of traces small enough to compute by hand, by the published formula of each tool.
#include <gtest/gtest.h>

#include <cmath>

#include "reports/load/conventions.h"
#include "reports/load/percentile.h"
#include "reports/load/steady.h"
#include "reports/load/summary.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

LoadRequest request(double scheduled, double sent, std::vector<EventRow> events, double end,
                    int64_t in, int64_t out) {
  LoadRequest r;
  r.ok = true;
  r.scheduled_s = scheduled;
  r.sent_s = sent;
  r.events = std::move(events);
  r.end_s = end;
  r.prompt_tokens = in;
  r.completion_tokens = out;
  return r;
}

// Two at a time, three requests. The second is sent half a second late; its first piece is a role
// without a token, and then two tokens come at once. The third begins when the first ends.
LoadTrace example() {
  LoadTrace trace;
  trace.way = "concurrency";
  trace.level = "2";
  trace.requests = {request(0, 0, {{1, 1}, {1.5, 1}, {2, 1}}, 2, 100, 3),
                    request(0, 0.5, {{0.25, 0}, {1, 1}, {3, 2}}, 3.25, 50, 3),
                    request(2, 2, {{1, 1}}, 1, 10, 1)};
  return trace;
}

double mean(const std::vector<LoadFigure>& figures, std::string_view convention,
            std::string_view name) {
  const LoadFigure* figure = find_figure(figures, convention, name);
  EXPECT_TRUE(figure) << convention << " " << name;
  return figure ? figure->mean : -1;
}

TEST(Percentile, LinearAsNumpy) {
  // numpy.percentile([15, 20, 35, 40, 50], 40) = 29.0; of [1, 2, 3, 4] the 75th is 3.25.
  EXPECT_DOUBLE_EQ(percentile_linear({50, 15, 40, 20, 35}, 0.4), 29);
  EXPECT_DOUBLE_EQ(percentile_linear({1, 2, 3, 4}, 0.75), 3.25);
  EXPECT_DOUBLE_EQ(percentile_linear({7}, 0.99), 7);
  EXPECT_DOUBLE_EQ(percentile_linear({1, 2}, 1), 2);
}

TEST(Percentile, InverseTakesAValueThatWasThere) {
  const std::vector<double> values = {50, 15, 40, 20, 35};
  EXPECT_EQ(percentile_inverse(values, {}, 0.4), 20);
  EXPECT_EQ(percentile_inverse(values, {}, 0.41), 35);
  EXPECT_EQ(percentile_inverse(values, {}, 0.99), 50);
  EXPECT_EQ(percentile_inverse(values, std::vector<double>{1, 6, 1, 1, 1}, 0.5), 15);
}

TEST(Conventions, VllmCountsEveryPieceFromSending) {
  const auto figures = vllm_figures(example(), {0.5, std::nullopt, std::nullopt});
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "ttft"), (1 + 0.25 + 1) / 3);  // the role counts
  // (E2EL - TTFT) / (out - 1): (2 - 1) / 2 and (3 - 0.25) / 2; one token alone has none.
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "tpot"), (0.5 + 1.375) / 2);
  EXPECT_EQ(find_figure(figures, "vllm", "tpot")->n, 2);
  // Gaps between pieces: 0.5, 0.5, 0.75, 2.
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "itl"), 3.75 / 4);
  EXPECT_DOUBLE_EQ(*find_figure(figures, "vllm", "itl")->p50, 0.625);
  EXPECT_NEAR(*find_figure(figures, "vllm", "itl")->p99, 0.75 + 0.97 * 1.25, 1e-12);
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "e2el"), (2.0 + 3 + 1) / 3);
  // The last request ends at 0.5 + 3.25 = 3.75 s.
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "request_throughput"), 3 / 3.75);
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "output_throughput"), 7 / 3.75);
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "total_throughput"), 167 / 3.75);
  EXPECT_DOUBLE_EQ(mean(figures, "vllm", "goodput"), 1 / 3.75);  // one TTFT within 0.5 s
  // Pieces at 1, 1.5, 2 | 0.75, 1.5, 3.5 | 3: the second from 1 s on has three.
  EXPECT_EQ(mean(figures, "vllm", "peak_output_throughput"), 3);
  EXPECT_EQ(mean(figures, "vllm", "peak_concurrency"), 2) << "an end makes room first";
  // Population: TTFT 1, 0.25, 1 around 0.75.
  EXPECT_NEAR(*find_figure(figures, "vllm", "ttft")->std_dev,
              std::sqrt((0.0625 + 0.25 + 0.0625) / 3), 1e-12);
}

TEST(Conventions, GuidellmNamesThemOtherwise) {
  const auto figures = guidellm_figures(example());
  EXPECT_DOUBLE_EQ(mean(figures, "guidellm", "ttft"), 1);  // a token, not a role
  // (last - start) / out: 2/3, 3/3, 1/1, weighted by tokens 3, 3, 1.
  EXPECT_DOUBLE_EQ(mean(figures, "guidellm", "tpot"), (2.0 + 3 + 1) / 7);
  // (last - first) / (out - 1): 0.5 and 1, weighted by 2 and 2; no interpolation.
  EXPECT_DOUBLE_EQ(mean(figures, "guidellm", "itl"), 0.75);
  EXPECT_EQ(find_figure(figures, "guidellm", "itl")->p50, 0.5);
  EXPECT_EQ(find_figure(figures, "guidellm", "itl")->p99, 1);
  EXPECT_DOUBLE_EQ(mean(figures, "guidellm", "request_latency"), (2 + 3.25 + 1) / 3);
}

TEST(Conventions, AiperfNamesThemOtherwiseAgain) {
  const auto figures = aiperf_figures(example(), {});
  const auto vllm = vllm_figures(example(), {});
  EXPECT_EQ(mean(figures, "aiperf", "itl"), mean(vllm, "vllm", "tpot"));
  EXPECT_EQ(mean(figures, "aiperf", "icl"), mean(vllm, "vllm", "itl"));
  EXPECT_DOUBLE_EQ(mean(figures, "aiperf", "ttst"), (0.5 + 0.75) / 2);
  // From the first request to the last piece, at 3.5 s.
  EXPECT_DOUBLE_EQ(mean(figures, "aiperf", "output_throughput"), 7 / 3.5);
  EXPECT_DOUBLE_EQ(mean(figures, "aiperf", "output_throughput_per_user"), (2 + 1 / 1.375) / 2);
  EXPECT_FALSE(find_figure(figures, "aiperf", "goodput"));
}

TEST(Conventions, OursCountFromWhenItWasDue) {
  LoadTrace trace = example();
  trace.requests.push_back({});  // one that failed
  trace.requests.back().scheduled_s = 2;
  const auto figures = own_figures(trace, {1.25, std::nullopt, std::nullopt});
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "queue_time"), 0.5 / 3);
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "ttft"), (1 + 1.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "tpot"), (0.5 + 1) / 2);
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "e2el"), (2 + 3.5 + 1) / 3);
  // Two of the four that were offered keep 1.25 s.
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "goodput_share"), 0.5);
  EXPECT_DOUBLE_EQ(mean(figures, "ds4", "goodput"), 2 / 3.75);
  EXPECT_FALSE(find_figure(figures, "ds4", "ttft")->p99) << "of three";
}

TEST(Steady, FromFullToTheFirstPlaceThatStaysEmpty) {
  // Places are full at 0; the last request is due at 2, and 3 is the first end after that. Tokens
  // in (0, 3]: 1, 1.5, 2 | 1.5 | 3.
  const auto window = steady_window(example());
  ASSERT_TRUE(window);
  EXPECT_EQ(window->begin_s, 0);
  EXPECT_EQ(window->end_s, 3);
  EXPECT_DOUBLE_EQ(window->output_rate, 5.0 / 3);
  LoadTrace few = example();
  few.level = "8";
  EXPECT_FALSE(steady_window(few)) << "never full";
}

TEST(Steady, LagBeyondAHundredthOfTtftMakesItInvalid) {
  LoadTrace trace = example();
  for (LoadRequest& r : trace.requests) r.dispatch_lag_s = 0.0099;
  EXPECT_TRUE(check_lag(trace).passed);  // the median TTFT is 1 s
  trace.requests[1].dispatch_lag_s = 0.0103;
  EXPECT_FALSE(check_lag(trace).passed);
}

TEST(Steady, TheKneeIsWhereAStepNoLongerPays) {
  EXPECT_EQ(knee({{1, 10}, {2, 18}, {4, 30}, {8, 36}}), 2u);
  EXPECT_EQ(knee({{1, 10}, {2, 14}, {4, 40}}), 0u) << "later growth does not count";
  EXPECT_EQ(knee({{1, 10}, {2, 15}}), 1u) << "exactly half";
  EXPECT_FALSE(knee({{1, 10}}));
  EXPECT_EQ(slo_point({{1, 0, 1}, {2, 0, 0.99}, {4, 0, 0.98}, {8, 0, 1}}), 1u);
  EXPECT_FALSE(slo_point({{1, 0, 0.5}}));
}

TEST(LoadTraces, AreReadFromSamplesAndSettings) {
  ExampleRun run(3);
  run.data.cells[0].settings =
      R"({"profile":{"suites":[{"name":"needle","parameters":{"slo_ttft_ms":{"type":"integer","value":600}}}]}})";
  for (int i = 0; i < 3; ++i) {
    StoredAttempt& attempt = run.attempt(i, i == 2 ? "wrong" : "correct", i == 2 ? 0 : 1);
    attempt.launch = 1;
    attempt.tags["concurrency"] = "2";
    attempt.samples = {{"scheduled_at", 0.5 * i, 0, ""}, {"sent_at", 0.5 * i, 0, ""}};
  }
  run.attempt(0, "correct").tags["concurrency"] = "2";  // without times: of no load
  StoredAttempt& warm_up = run.attempt(1, "correct");
  warm_up.tags = {{"concurrency", "2"}, {"part", "warm-up"}};
  warm_up.samples = {{"scheduled_at", 0, 0, ""}};
  const auto loads = summarise_loads(run.data);
  ASSERT_EQ(loads.size(), 1u);
  EXPECT_EQ(loads[0].offered, 3);
  EXPECT_EQ(loads[0].correct, 2);
  EXPECT_EQ(loads[0].attempt_ids, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_TRUE(loads[0].has_slo);
  EXPECT_DOUBLE_EQ(mean(loads[0].figures, "ds4", "goodput_share"), 1);  // TTFT is 0.5 s
  EXPECT_EQ(loads[0].invalid_reason(), "");
  EXPECT_TRUE(loads[0].is_slo_point);
}

}  // namespace
}  // namespace ds4::reports
