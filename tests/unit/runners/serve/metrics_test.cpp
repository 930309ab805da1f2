#include "runners/serve/metrics.h"

#include <gmock/gmock.h>

namespace ds4::runners::serve {
namespace {

using ::testing::HasSubstr;

TEST(ServeMetrics, CountsWhatEnded) {
  Metrics metrics("my \"model\"");
  metrics.requests(1, 2);
  Response response;
  response.answer.finish_reason = "length";
  response.prompt_tokens = 100;
  response.cached_tokens = 60;
  response.completion_tokens = 11;
  response.first_token_s = 0.2;
  response.end_s = 1.2;
  response.samples = {{"decode_rounds", 5, 0, "decode"}, {"acceptance_length", 2.2, 0, "decode"}};
  metrics.answered(response, 0.5, 1.7);
  Response failed;
  failed.error = "x";
  metrics.answered(failed, 0, 0);
  metrics.refused(429);
  const std::string text = metrics.text();
  const std::string label = "{model_name=\"my \\\"model\\\"\"";
  for (const std::string& line : std::vector<std::string>{
           "vllm:num_requests_running" + label + "} 1\n",
           "vllm:num_requests_waiting" + label + "} 2\n",
           "vllm:prompt_tokens_total" + label + "} 100\n",
           "vllm:generation_tokens_total" + label + "} 11\n",
           "vllm:prefix_cache_hits_total" + label + "} 60\n",
           "vllm:spec_decode_num_drafts_total" + label + "} 5\n",
           "vllm:spec_decode_num_accepted_tokens_total" + label + "} 6\n",
           "vllm:request_success_total" + label + ",finished_reason=\"length\"} 1\n",
           "vllm:request_success_total" + label + ",finished_reason=\"stop\"} 0\n",
           "vllm:time_to_first_token_seconds_bucket" + label + ",le=\"0.5\"} 0\n",
           "vllm:time_to_first_token_seconds_bucket" + label + ",le=\"1\"} 1\n",
           "vllm:time_to_first_token_seconds_bucket" + label + ",le=\"+Inf\"} 1\n",
           "vllm:time_to_first_token_seconds_sum" + label + "} 0.7\n",
           "vllm:time_per_output_token_seconds_sum" + label + "} 0.1\n",
           "vllm:e2e_request_latency_seconds_count" + label + "} 1\n",
           "ds4_request_failures_total" + label + "} 1\n",
           "ds4_requests_refused_total" + label + ",status=\"429\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

// Every sample belongs to a family that was announced, and every line is of the format.
TEST(ServeMetrics, EveryFamilyHasItsType) {
  Metrics metrics("m");
  std::string family;
  const std::string text = metrics.text();
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_THAT(line, HasSubstr(family));
    } else {
      EXPECT_TRUE(line.starts_with(family)) << line;
      EXPECT_THAT(line, ::testing::MatchesRegex(".*\\{model_name=\"m\".*\\} [0-9.e+-]+"));
    }
  }
}

}  // namespace
}  // namespace ds4::runners::serve
