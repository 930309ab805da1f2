#include "runners/serve/metrics.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/clock.h"

namespace ds4::runners::serve {
namespace {

const std::vector<double> kSeconds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                      5,    10,    25,   50,  100,  250, 500, 1000};
const std::vector<double> kTokenSeconds = {0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
                                           0.1,   0.15, 0.2,  0.3,  0.5,  1};
const std::vector<double> kTokens = {1,     2,      5,      10,     20,     50,    100,
                                     200,   500,    1000,   2000,   5000,   10000, 20000,
                                     50000, 100000, 200000, 500000, 1000000};

std::string plain(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string line(const std::string& name, const std::string& labels, double value) {
  return name + "{" + labels + "} " + plain(value) + "\n";
}

std::string head(const std::string& name, const char* type, const char* help) {
  return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

// A label's value within its quotation marks.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

double value_of(const std::vector<probes::Sample>& samples, std::string_view metric) {
  const auto found = std::find_if(samples.begin(), samples.end(),
                                  [&](const auto& sample) { return sample.metric == metric; });
  return found == samples.end() ? 0 : found->value;
}

}  // namespace

void Histogram::add(double value) {
  ++n_;
  sum_ += value;
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  if (at != bounds_.end()) ++counts_[static_cast<size_t>(at - bounds_.begin())];
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  std::string out;
  int64_t so_far = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    so_far += counts_[i];
    out += line(name + "_bucket", labels + ",le=\"" + plain(bounds_[i]) + "\"",
                static_cast<double>(so_far));
  }
  out += line(name + "_bucket", labels + ",le=\"+Inf\"", static_cast<double>(n_));
  out += line(name + "_sum", labels, sum_);
  return out + line(name + "_count", labels, static_cast<double>(n_));
}

Metrics::Metrics(std::string model)
    : labels_("model_name=\"" + escaped(model) + "\""),
      start_s_(monotonic_seconds()),
      first_token_(kSeconds),
      per_token_(kTokenSeconds),
      whole_(kSeconds),
      waited_(kSeconds),
      prompt_lengths_(kTokens),
      answer_lengths_(kTokens) {}

void Metrics::requests(int64_t running, int64_t waiting) {
  const std::lock_guard lock(mutex_);
  running_ = running;
  waiting_ = waiting;
}

void Metrics::answered(const Response& response, double waited_s, double age_s) {
  const std::lock_guard lock(mutex_);
  if (!response.error.empty()) {
    ++failed_;
    return;
  }
  ++finished_[response.answer.finish_reason == "cancelled" ? "abort"
                                                           : response.answer.finish_reason];
  prompt_tokens_ += response.prompt_tokens;
  cached_tokens_ += response.cached_tokens;
  answer_tokens_ += response.completion_tokens;
  waited_.add(waited_s);
  if (response.answer.finish_reason == "cancelled") return;
  whole_.add(age_s);
  prompt_lengths_.add(static_cast<double>(response.prompt_tokens));
  answer_lengths_.add(static_cast<double>(response.completion_tokens));
  if (response.first_token_s >= 0) first_token_.add(waited_s + response.first_token_s);
  if (response.completion_tokens > 1) {
    per_token_.add((response.end_s - response.first_token_s) /
                   static_cast<double>(response.completion_tokens - 1));
  }
  const double rounds = value_of(response.samples, "decode_rounds");
  draft_rounds_ += rounds;
  if (rounds > 0) {
    drafts_kept_ += (value_of(response.samples, "acceptance_length") - 1) * rounds;
  }
}

void Metrics::refused(int status) {
  const std::lock_guard lock(mutex_);
  ++refused_[status];
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  const auto single = [&](const std::string& name, const char* type, const char* help,
                          double value) {
    out += head(name, type, help) + line(name, labels_, value);
  };
  const auto histogram = [&](const std::string& name, const char* help, const Histogram& of) {
    out += head(name, "histogram", help) + of.text(name, labels_);
  };
  single("vllm:num_requests_running", "gauge", "Requests that are being answered.",
         static_cast<double>(running_));
  single("vllm:num_requests_waiting", "gauge", "Requests in the queue.",
         static_cast<double>(waiting_));
  single("vllm:prompt_tokens_total", "counter", "Prompt tokens, cached ones included.",
         static_cast<double>(prompt_tokens_));
  single("vllm:generation_tokens_total", "counter", "Tokens of answers.",
         static_cast<double>(answer_tokens_));
  single("vllm:prefix_cache_queries_total", "counter",
         "Prompt tokens that were looked for in the cache.", static_cast<double>(prompt_tokens_));
  single("vllm:prefix_cache_hits_total", "counter", "Prompt tokens that were found there.",
         static_cast<double>(cached_tokens_));
  single("vllm:spec_decode_num_drafts_total", "counter", "Rounds in which drafts were checked.",
         draft_rounds_);
  single("vllm:spec_decode_num_accepted_tokens_total", "counter", "Draft tokens that were kept.",
         drafts_kept_);
  out += head("vllm:request_success_total", "counter", "Answers by their finish reason.");
  for (const char* reason : {"stop", "length", "abort"}) {
    const auto found = finished_.find(reason);
    out += line("vllm:request_success_total", labels_ + ",finished_reason=\"" + reason + "\"",
                found == finished_.end() ? 0 : static_cast<double>(found->second));
  }
  histogram("vllm:time_to_first_token_seconds", "From the request to the first token.",
            first_token_);
  histogram("vllm:time_per_output_token_seconds", "From token to token, an answer's mean.",
            per_token_);
  histogram("vllm:e2e_request_latency_seconds", "From the request to the end.", whole_);
  histogram("vllm:request_queue_time_seconds", "In the queue.", waited_);
  histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", prompt_lengths_);
  histogram("vllm:request_generation_tokens", "Tokens of an answer.", answer_lengths_);
  single("ds4_request_failures_total", "counter", "Requests that the target could not answer.",
         static_cast<double>(failed_));
  out += head("ds4_requests_refused_total", "counter", "Requests that were not taken, by status.");
  for (const auto& [status, n] : refused_) {
    out += line("ds4_requests_refused_total",
                labels_ + ",status=\"" + std::to_string(status) + "\"", static_cast<double>(n));
  }
  single("ds4_uptime_seconds", "gauge", "Since the process began to serve.",
         monotonic_seconds() - start_s_);
  return out;
}

}  // namespace ds4::runners::serve
