// The text format as servers publish it, and pages that are none.
#include "runners/managed/prometheus.h"

#include <gmock/gmock.h>

#include <map>

#include "probes/metric.h"

namespace ds4::runners::managed {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

std::map<std::string, double> figures(const std::string& page) {
  std::map<std::string, double> found;
  for (const probes::Sample& sample : samples_of_metrics(page, 7)) {
    EXPECT_EQ(sample.time_s, 7);
    EXPECT_NE(probes::find_metric(sample.metric), nullptr) << sample.metric;
    EXPECT_TRUE(found.emplace(sample.metric, sample.value).second) << sample.metric;
  }
  return found;
}

TEST(Prometheus, ALineHasNameLabelsAndValue) {
  const auto plain = parse_metric_line("up 1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name, "up");
  EXPECT_EQ(plain->value, 1);
  const auto full = parse_metric_line(
      R"(  vllm:x_total { engine = "0" , path="a\\b\"c\nd", } +2.5e3 1700000000000)");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->name, "vllm:x_total");
  EXPECT_EQ(full->labels, (Labels{{"engine", "0"}, {"path", "a\\b\"c\nd"}}));
  EXPECT_EQ(full->value, 2500);
  EXPECT_EQ(parse_metric_line("x{} -0.5\r")->value, -0.5);
}

TEST(Prometheus, WhatIsNoLineIsNone) {
  for (const char* line :
       {"",          "   ",       "# HELP x y", "x",        "x ",         "x y",
        "1x 2",      "x{ 1",      "x{a} 1",     "x{a=1} 1", "x{a=\"b} 1", "x{a=\"b\" c=\"d\"} 1",
        "x{a=\"b\\", "x NaN",     "x +Inf",     "x -Inf",   "x 1e999",    "x 1abc",
        "x +-1",     "x{a=\"b\"}"}) {
    EXPECT_FALSE(parse_metric_line(line)) << line;
  }
}

TEST(Prometheus, FiguresOfVllm) {
  EXPECT_EQ(figures("# HELP vllm:num_requests_running Number of requests in model execution.\n"
                    "# TYPE vllm:num_requests_running gauge\n"
                    "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 2.0\n"
                    "vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 1.0\n"
                    "vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\n"
                    "vllm:kv_cache_usage_perc{engine=\"1\"} 0.75\n"
                    "vllm:gpu_cache_usage_perc{engine=\"0\"} 0.9\n"
                    "vllm:prompt_tokens_total{engine=\"0\"} 1.86390e5\n"
                    "vllm:spec_decode_num_draft_tokens_total 100\n"
                    "vllm:spec_decode_num_accepted_tokens_total 67\n"
                    "vllm:spec_decode_num_accepted_tokens_per_pos_total{position=\"0\"} 40\n"
                    "vllm:request_success_total{finished_reason=\"stop\"} 3\n"),
            (std::map<std::string, double>{{"server_running", 3},
                                           {"server_kv_used", 0.5},
                                           {"server_prompt_tokens", 186390},
                                           {"server_drafted_tokens", 100},
                                           {"server_accepted_tokens", 67}}));
}

TEST(Prometheus, FiguresOfTheOthers) {
  EXPECT_EQ(figures("sglang:num_running_reqs{tp_rank=\"0\"} 1\nsglang:num_queue_reqs 4\n"
                    "sglang:token_usage 0.1\n"),
            (std::map<std::string, double>{
                {"server_running", 1}, {"server_waiting", 4}, {"server_kv_used", 0.1}}));
  EXPECT_EQ(
      figures("llamacpp:requests_processing 1\nllamacpp:tokens_predicted_total 34\n"),
      (std::map<std::string, double>{{"server_running", 1}, {"server_generated_tokens", 34}}));
}

TEST(Prometheus, AHostilePageIsNoFigure) {
  EXPECT_TRUE(figures("").empty());
  EXPECT_TRUE(figures(std::string(100000, '{')).empty());
  EXPECT_TRUE(figures("vllm:num_requests_running{" + std::string(100000, 'a')).empty());
  // Finite each, not together.
  EXPECT_TRUE(
      figures("vllm:num_preemptions_total 1e308\nvllm:num_preemptions_total 1e308\n").empty());
  std::string labels = "up{";
  for (int i = 0; i < 100; ++i) labels += "l" + std::to_string(i) + "=\"v\",";
  EXPECT_FALSE(parse_metric_line(labels + "} 1"));
}

}  // namespace
}  // namespace ds4::runners::managed
