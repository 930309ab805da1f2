#include "runners/managed/log_facts.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace ds4::runners::managed {
namespace {

constexpr size_t kMostSamples = 20000;
constexpr size_t kLongestLine = 4096;
constexpr double kMiB = 1 << 20, kGiB = 1 << 30;

// Lines as the servers' sources print them; what SGLang calls GB is 2^30 bytes.
const std::vector<LogPattern> kPatterns = {
    {"vllm",
     "Model loading took @ GiB memory and @ s",
     {{"server_weights_memory", kGiB}, {"server_weights_time"}}},
    {"vllm", "Initial free memory*@ GiB", {{"server_free_memory", kGiB}}},
    {"vllm", "reserved @ GiB", {{"server_kv_memory", kGiB}}},
    {"vllm", "Available KV cache memory: @ GiB", {{"server_kv_memory", kGiB}}},
    {"vllm", "GPU KV cache size: @ tokens", {{"server_kv_tokens"}}, "capture"},
    {"vllm", "Maximum concurrency for * tokens per request: @x", {{"server_concurrency"}}},
    {"vllm",
     "Graph capturing finished in @ secs, took @ GiB",
     {{"server_graph_time"}, {"server_graph_memory", kGiB}}},
    {"vllm", "Mean acceptance length: @", {{"server_acceptance_length"}}},
    {"vllm", "Draft acceptance rate: @%", {{"server_draft_acceptance", 0.01}}},
    {"sglang", "Load weight end.*mem usage=@ GB", {{"server_weights_memory", kGiB}}},
    {"sglang", "Load weight end. elapsed=@ s", {{"server_weights_time"}}},
    {"sglang", "KV Cache is allocated. #tokens: @", {{"server_kv_tokens"}}, "capture"},
    {"sglang", "KV Cache is allocated.*KV size: @ GB", {{"server_kv_memory", kGiB}}},
    {"sglang", "Capture cuda graph end. Time elapsed: @ s", {{"server_graph_time"}}},
    {"sglang", "Capture cuda graph end.*mem usage=@ GB", {{"server_graph_memory", kGiB}}},
    {"sglang", "accept len: @", {{"server_acceptance_length"}}},
    {"llama.cpp", "model buffer size = @ MiB", {{"server_weights_memory", kMiB}}},
    {"llama.cpp", "KV buffer size = @ MiB", {{"server_kv_memory", kMiB}}, "capture"},
    {"llama.cpp", "draft acceptance rate = @ (", {{"server_draft_acceptance"}}},
};

// The number that `text` begins with, which moves behind it.
std::optional<double> take_number(std::string_view& text) {
  std::string digits;
  size_t end = 0;
  for (; end < text.size() && digits.size() < 32; ++end) {
    const char c = text[end];
    const bool digit = c >= '0' && c <= '9';
    const bool more = end + 1 < text.size() && text[end + 1] >= '0' && text[end + 1] <= '9';
    if (!digit && (digits.empty() || !more || (c != ',' && c != '.'))) break;
    if (c != ',') digits += c;
  }
  double value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  text.remove_prefix(end);
  return value;
}

// Fits `pattern` at the beginning of `line`. A `*` is followed by text: it ends where that first
// fits, so that no line takes long.
bool fits_here(std::string_view line, std::string_view pattern, std::vector<double>& numbers) {
  while (!pattern.empty()) {
    const char wanted = pattern.front();
    pattern.remove_prefix(1);
    if (wanted == '@') {
      const std::optional<double> number = take_number(line);
      if (!number) return false;
      numbers.push_back(*number);
    } else if (wanted == '*') {
      for (size_t skipped = 0; skipped <= line.size(); ++skipped) {
        std::vector<double> rest;
        if (!fits_here(line.substr(skipped), pattern, rest)) continue;
        numbers.insert(numbers.end(), rest.begin(), rest.end());
        return true;
      }
      return false;
    } else {
      if (line.empty() || line.front() != wanted) return false;
      line.remove_prefix(1);
      while (wanted == ' ' && !line.empty() && line.front() == ' ') line.remove_prefix(1);
    }
  }
  return true;
}

}  // namespace

std::span<const LogPattern> log_patterns() {
  return kPatterns;
}

std::vector<double> numbers_in(std::string_view line, std::string_view pattern) {
  std::vector<double> numbers;
  for (size_t at = line.find(pattern.front()); at != line.npos;
       at = line.find(pattern.front(), at + 1)) {
    numbers.clear();
    if (fits_here(line.substr(at), pattern, numbers)) return numbers;
  }
  return {};
}

void LogFacts::line(std::string_view line, double time_s) {
  line = line.substr(0, kLongestLine);
  for (const LogPattern& pattern : kPatterns) {
    const std::vector<double> numbers = numbers_in(line, pattern.text);
    if (numbers.size() != pattern.numbers.size()) continue;
    if (!pattern.phase.empty()) phase_ = pattern.phase;
    for (size_t i = 0; i < numbers.size() && n_ < kMostSamples; ++i, ++n_) {
      samples_.push_back({std::string(pattern.numbers[i].metric),
                          numbers[i] * pattern.numbers[i].scale, time_s, ""});
    }
  }
}

std::vector<probes::Sample> LogFacts::take() {
  return std::exchange(samples_, {});
}

}  // namespace ds4::runners::managed
