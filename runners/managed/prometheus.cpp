#include "runners/managed/prometheus.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ds4::runners::managed {
namespace {

constexpr size_t kMostPage = size_t{4} << 20;
constexpr size_t kMostLabels = 64;

struct Figure {
  std::string_view name;  // as published; counters with and without _total
  std::string_view metric;
  bool share = false;
};

constexpr Figure kFigures[] = {
    {"vllm:num_requests_running", "server_running"},
    {"vllm:num_requests_waiting", "server_waiting"},
    {"vllm:kv_cache_usage_perc", "server_kv_used", true},
    {"vllm:gpu_cache_usage_perc", "server_kv_used", true},  // as older versions call it
    {"vllm:prompt_tokens", "server_prompt_tokens"},
    {"vllm:generation_tokens", "server_generated_tokens"},
    {"vllm:num_preemptions", "server_preemptions"},
    {"vllm:prefix_cache_queries", "server_prefix_queries"},
    {"vllm:prefix_cache_hits", "server_prefix_hits"},
    {"vllm:spec_decode_num_drafts", "server_drafts"},
    {"vllm:spec_decode_num_draft_tokens", "server_drafted_tokens"},
    {"vllm:spec_decode_num_accepted_tokens", "server_accepted_tokens"},
    {"sglang:num_running_reqs", "server_running"},
    {"sglang:num_queue_reqs", "server_waiting"},
    {"sglang:token_usage", "server_kv_used", true},
    {"sglang:prompt_tokens", "server_prompt_tokens"},
    {"sglang:generation_tokens", "server_generated_tokens"},
    {"sglang:spec_accept_length", "server_acceptance_length", true},
    {"llamacpp:requests_processing", "server_running"},
    {"llamacpp:requests_deferred", "server_waiting"},
    {"llamacpp:kv_cache_usage_ratio", "server_kv_used", true},
    {"llamacpp:prompt_tokens", "server_prompt_tokens"},
    {"llamacpp:tokens_predicted", "server_generated_tokens"},
};

const Figure* figure_of(std::string_view name) {
  constexpr std::string_view kTotal = "_total";
  if (name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
  const auto found = std::find_if(std::begin(kFigures), std::end(kFigures),
                                  [&](const Figure& figure) { return figure.name == name; });
  return found == std::end(kFigures) ? nullptr : found;
}

bool name_character(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  return letter || (!first && c >= '0' && c <= '9');
}

std::string_view take_name(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && name_character(text[end], end == 0)) ++end;
  const std::string_view name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

bool take(std::string_view& text, char wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}

// A quoted value with its escapes undone; nothing when its end is missing.
std::optional<std::string> take_quoted(std::string_view& text) {
  if (!take(text, '"')) return std::nullopt;
  std::string value;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return value;
    if (c != '\\') {
      value += c;
      continue;
    }
    if (text.empty()) return std::nullopt;
    value += text.front() == 'n' ? '\n' : text.front();
    text.remove_prefix(1);
  }
  return std::nullopt;
}

bool take_labels(std::string_view& text, MetricLine& line) {
  skip_blanks(text);
  while (!take(text, '}')) {
    const std::string_view name = take_name(text);
    skip_blanks(text);
    if (name.empty() || line.labels.size() == kMostLabels || !take(text, '=')) return false;
    skip_blanks(text);
    std::optional<std::string> value = take_quoted(text);
    if (!value) return false;
    line.labels.emplace_back(name, std::move(*value));
    skip_blanks(text);
    if (!take(text, ',') && !text.starts_with('}')) return false;
    skip_blanks(text);
  }
  return true;
}

struct Sum {
  const Figure* figure;
  double value = 0;
  int lines = 0;
};

}  // namespace

std::optional<MetricLine> parse_metric_line(std::string_view text) {
  MetricLine line;
  skip_blanks(text);
  line.name = take_name(text);
  if (line.name.empty()) return std::nullopt;
  skip_blanks(text);
  if (take(text, '{') && !take_labels(text, line)) return std::nullopt;
  skip_blanks(text);
  if (take(text, '+') && text.starts_with('-')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), line.value);
  if (error != std::errc() || !std::isfinite(line.value)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  const bool ends =
      text.empty() || text.front() == ' ' || text.front() == '\t' || text.front() == '\r';
  return ends ? std::optional(std::move(line)) : std::nullopt;
}

std::vector<probes::Sample> samples_of_metrics(std::string_view page, double time_s) {
  page = page.substr(0, kMostPage);
  std::vector<Sum> sums;
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    const std::optional<MetricLine> line = parse_metric_line(page.substr(0, end));
    page.remove_prefix(std::min(end + 1, page.size()));
    const Figure* figure = line ? figure_of(line->name) : nullptr;
    if (!figure) continue;
    auto sum = std::find_if(sums.begin(), sums.end(),
                            [&](const Sum& s) { return s.figure->metric == figure->metric; });
    if (sum == sums.end()) sum = sums.insert(sums.end(), Sum{figure});
    if (sum->figure != figure) continue;  // an older name of the same beside the new one
    sum->value += line->value;
    ++sum->lines;
  }
  std::vector<probes::Sample> samples;
  for (const Sum& sum : sums) {
    const double value = sum.figure->share ? sum.value / sum.lines : sum.value;
    if (!std::isfinite(value)) continue;
    samples.push_back({std::string(sum.figure->metric), value, time_s, ""});
  }
  return samples;
}

}  // namespace ds4::runners::managed
