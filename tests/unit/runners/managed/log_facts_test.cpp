// Lines of servers' logs, as their sources print them, and lines that only look so.
#include "runners/managed/log_facts.h"

#include <gmock/gmock.h>

#include <set>

#include "probes/metric.h"

namespace ds4::runners::managed {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Facts = std::vector<std::pair<std::string, double>>;

Facts facts_of(const std::string& line) {
  LogFacts facts;
  facts.line(line, 3);
  Facts found;
  for (const probes::Sample& sample : facts.take()) {
    EXPECT_EQ(sample.time_s, 3);
    found.emplace_back(sample.metric, sample.value);
  }
  return found;
}

constexpr double kMiB = 1 << 20, kGiB = 1 << 30;

TEST(LogFacts, OfVllm) {
  const std::string head = "(EngineCore_DP0 pid=212) INFO 10-06 12:00:40 [gpu_model_runner.py:9] ";
  EXPECT_EQ(facts_of(head + "Model loading took 96.66 GiB memory and 204.2 seconds"),
            (Facts{{"server_weights_memory", 96.66 * kGiB}, {"server_weights_time", 204.2}}));
  EXPECT_EQ(facts_of(head + "GPU KV cache size: 537,516 tokens"),
            (Facts{{"server_kv_tokens", 537516}}));
  EXPECT_EQ(facts_of(head + "Maximum concurrency for 200,000 tokens per request: 2.69x"),
            (Facts{{"server_concurrency", 2.69}}));
  EXPECT_EQ(facts_of(head + "Graph capturing finished in 20 secs, took 1.66 GiB"),
            (Facts{{"server_graph_time", 20}, {"server_graph_memory", 1.66 * kGiB}}));
  EXPECT_EQ(
      facts_of(head + "Initial free memory 114.01 GiB, reserved 6.00 GiB memory for KV Cache"),
      (Facts{{"server_free_memory", 114.01 * kGiB}, {"server_kv_memory", 6 * kGiB}}));
  EXPECT_EQ(
      facts_of(head + "SpecDecoding metrics: Mean acceptance length: 2.71, Accepted throughput:"
                      " 0.68 tokens/s, Per-position acceptance rate: 0.919, 0.788, Avg Draft "
                      "acceptance rate: 75.0%"),
      (Facts{{"server_acceptance_length", 2.71}, {"server_draft_acceptance", 0.75}}));
}

TEST(LogFacts, OfSglang) {
  EXPECT_EQ(facts_of("[2026-03-11 13:53:21 TP0] Load weight end. elapsed=23.18 s, type=DeepseekV3, "
                     "avail mem=32.02 GB, mem usage=28.79 GB."),
            (Facts{{"server_weights_memory", 28.79 * kGiB}, {"server_weights_time", 23.18}}));
  EXPECT_EQ(facts_of("KV Cache is allocated. #tokens: 383872, KV size: 19.36 GB"),
            (Facts{{"server_kv_tokens", 383872}, {"server_kv_memory", 19.36 * kGiB}}));
  EXPECT_EQ(facts_of("Capture cuda graph end. Time elapsed: 54.61 s. mem usage=1.93 GB. avail "
                     "mem=8.16 GB."),
            (Facts{{"server_graph_time", 54.61}, {"server_graph_memory", 1.93 * kGiB}}));
}

TEST(LogFacts, OfLlamaCpp) {
  EXPECT_EQ(facts_of("load_tensors:        CUDA0 model buffer size =  4685.30 MiB"),
            (Facts{{"server_weights_memory", 4685.30 * kMiB}}));
  EXPECT_EQ(facts_of("llama_kv_cache:      CUDA0 KV buffer size =   512.00 MiB"),
            (Facts{{"server_kv_memory", 512 * kMiB}}));
  EXPECT_EQ(facts_of("draft acceptance rate = 0.57576 (  171 accepted /   297 generated)"),
            (Facts{{"server_draft_acceptance", 0.57576}}));
}

TEST(LogFacts, OfLinesThatOnlyLookSo) {
  for (const char* line :
       {"", "Model loading took", "Model loading took a while", "GPU KV cache size: many tokens",
        "GPU KV cache size: , tokens", "Graph capturing finished in 20 secs",
        "Mean acceptance length: nan", "Model loading took 1.2.3.4 GiB memory and 5 s",
        "Model loading took 99999999999999999999999999999999999999999 GiB memory and 5 s"}) {
    EXPECT_THAT(facts_of(line), IsEmpty()) << line;
  }
}

TEST(LogFacts, ALineOfOnlyBeginningsIsReadSoon) {
  std::string line;
  while (line.size() < 100000) line += "KV Cache is allocated.";
  EXPECT_THAT(facts_of(line), IsEmpty());
}

TEST(LogFacts, TheCacheBeginsCapture) {
  LogFacts facts;
  facts.line("Model loading took 1 GiB memory and 2 seconds", 0);
  EXPECT_EQ(facts.phase(), "");
  facts.line("GPU KV cache size: 10 tokens", 0);
  EXPECT_EQ(facts.phase(), "capture");
}

TEST(LogFacts, AreBoundedWhateverIsPrinted) {
  LogFacts facts;
  for (int i = 0; i < 30000; ++i) facts.line("GPU KV cache size: 10 tokens", 0);
  EXPECT_EQ(facts.take().size(), 20000u);
  facts.line("GPU KV cache size: 10 tokens", 0);
  EXPECT_THAT(facts.take(), IsEmpty());
}

TEST(LogFacts, TheTableNamesMetricsAndNumbers) {
  std::set<std::string_view> servers;
  for (const LogPattern& pattern : log_patterns()) {
    servers.insert(pattern.server);
    EXPECT_EQ(std::count(pattern.text.begin(), pattern.text.end(), '@'),
              std::ssize(pattern.numbers))
        << pattern.text;
    EXPECT_FALSE(pattern.text.ends_with('*')) << pattern.text;
    for (const LogNumber& number : pattern.numbers) {
      EXPECT_NE(probes::find_metric(number.metric), nullptr) << number.metric;
    }
  }
  EXPECT_THAT(servers, ElementsAre("llama.cpp", "sglang", "vllm"));
}

}  // namespace
}  // namespace ds4::runners::managed
