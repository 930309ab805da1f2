#include "suites/throughput/settings.h"

#include <charconv>

#include "engine/base/error.h"

namespace ds4::suites::throughput {
namespace {

constexpr std::string_view kName = "throughput";
constexpr std::string_view kLoadPrefix = "load.";  // profiles/schema/loads.cpp puts them there

std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::vector<std::string> other_suites() {
  std::vector<std::string> names = {""};
  for (const Suite* suite : all_suites()) {
    if (suite->name() != kName) names.emplace_back(suite->name());
  }
  return names;
}

}  // namespace

Settings read_settings(const Parameters& parameters) {
  const ParameterReader reader(kName, parameters);
  Settings out;
  out.common = common_parameters(reader);
  out.loop = reader.choice("loop", {"closed", "open", "both"});
  out.concurrency = reader.integers("concurrency", {1, 4096, "requests"});
  out.rates = reader.reals("rates", {0.0001, 100000, "requests/s"});
  out.burstiness = reader.real("burstiness", {0.01, 1e6});
  const std::string load = reader.choice("load", other_suites());
  out.requests = reader.integer("requests", {load.empty() ? 1 : 0, kMaxNumberedCases, "requests"});
  out.warm_up = reader.integer("warm_up", {0, 1000, "requests"});
  out.random_ids = reader.choice("prompts", {"text", "vllm_random"}) != "text";
  out.input_tokens = reader.integer("input_tokens", {96, 4194304, "tokens"});
  out.range_ratio = reader.real("range_ratio", {0, 0.9});
  const auto ids = reader.integers("token_ids", {0, (int64_t{1} << 31) - 1, ""});
  if (ids.size() != 2 || ids[0] > ids[1]) {
    throw Error(ErrorCode::kProfile, "throughput: `token_ids` is not a first and a last id",
                "Use [3, 127999].");
  }
  out.first_id = ids[0];
  out.last_id = ids[1];
  for (const char* slo : {"slo_ttft_ms", "slo_tpot_ms", "slo_e2el_ms"}) {
    reader.integer(slo, {0, int64_t{1} << 40, "ms"});
  }
  if (load.empty()) return out;
  out.load = find_suite(load);
  for (const auto& [name, value] : parameters) {
    if (name.starts_with(kLoadPrefix)) {
      out.load_parameters[name.substr(kLoadPrefix.size())] = value;
    }
  }
  return out;
}

std::vector<Group> groups_of(const Settings& settings) {
  std::vector<Group> groups;
  for (const int64_t n : settings.concurrency) {
    if (settings.loop == "open") break;
    groups.push_back({"c" + std::to_string(n), "concurrency", std::to_string(n), n, 0});
  }
  for (const double rate : settings.rates) {
    if (settings.loop == "closed") break;
    groups.push_back({"r" + shortest(rate), "rate", shortest(rate), 0, rate});
  }
  return groups;
}

}  // namespace ds4::suites::throughput
