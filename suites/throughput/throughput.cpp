// The throughput suite: requests that come together, so many at a time or at drawn moments. What
// they ask is a text of its own, or the cases of another suite, which then grades the answers.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/filler_prompt.h"
#include "suites/common/rng.h"
#include "suites/registry.h"
#include "suites/throughput/arrivals.h"
#include "suites/throughput/settings.h"

namespace ds4::suites {

extern const std::string_view throughput_toml;

namespace {

using throughput::Group;
using throughput::Settings;

constexpr char kPart[] = "part";  // tag of what is not measured
constexpr char kWarmUp[] = "warm-up";

// The place of a request in its group: the digits at the end of its id.
int64_t place_of(const std::string& id) {
  return std::stoll(id.substr(id.size() - 4));
}

// The cases of the load, the measured ones first, then those to warm up with: the last ones, so
// that they are others as long as there are enough.
std::vector<CaseSpec> load_cases(const Settings& settings) {
  std::vector<CaseSpec> all = settings.load->plan(settings.load_parameters);
  const auto n = static_cast<size_t>(settings.requests == 0 ? std::ssize(all) : settings.requests);
  if (n > all.size()) {
    throw Error(ErrorCode::kProfile,
                "throughput: `requests` is " + std::to_string(n) + "; the load " +
                    std::string(settings.load->name()) + " has " + std::to_string(all.size()) +
                    " cases",
                "Use 0 for all of them.");
  }
  std::vector<CaseSpec> cases(all.begin(), all.begin() + static_cast<int64_t>(n));
  for (int64_t i = 0; i < settings.warm_up; ++i) {
    cases.push_back(all[all.size() - 1 - static_cast<size_t>(i) % all.size()]);
  }
  return cases;
}

void add_group(const Settings& settings, const Group& group, bool warm_up,
               const std::vector<CaseSpec>& load, std::vector<CaseSpec>& cases) {
  const int64_t n = warm_up ? settings.warm_up : std::ssize(load) - settings.warm_up;
  const std::string name = group.name + (warm_up ? "/w" : "/");
  std::vector<double> due;
  if (group.at_once == 0) {
    const uint64_t seed = case_seed("throughput", settings.common.seed, name);
    due = arrivals(seed, n, group.rate, settings.burstiness);
  }
  for (int64_t i = 0; i < n; ++i) {
    // Of the load's case everything stays: its seed too, so that draws are the same in each group.
    CaseSpec spec = load[static_cast<size_t>(warm_up ? std::ssize(load) - n + i : i)];
    // The place keeps ids apart when a short load warms up with one case twice.
    spec.id = name + (spec.id.empty() || warm_up ? numbered_id(i) : "") +
              (spec.id.empty() || !warm_up ? "" : "/") + spec.id;
    if (!settings.load) spec.seed = case_seed("throughput", settings.common.seed, spec.id);
    spec.tags[group.tag] = group.value;
    if (warm_up) spec.tags[kPart] = kWarmUp;
    spec.load = {name, group.at_once, group.at_once == 0 ? due[static_cast<size_t>(i)] : 0};
    cases.push_back(std::move(spec));
  }
}

// `vllm bench serve --dataset-name random`: ids in a row from a drawn first one, shifted by the
// request's place. Another generator, so other draws than that program's for the same seed.
RawPrompt random_ids(const Settings& settings, const CaseSpec& spec, Rng& rng, int64_t& answer) {
  const auto length = [&](int64_t nominal) {
    const auto n = static_cast<double>(nominal);
    return rng.between(static_cast<int64_t>(std::floor(n * (1 - settings.range_ratio))),
                       static_cast<int64_t>(std::ceil(n * (1 + settings.range_ratio))));
  };
  const int64_t n = length(settings.input_tokens);
  answer = std::max<int64_t>(1, length(answer));
  const int64_t ids = settings.last_id - settings.first_id + 1;
  const int64_t offset = rng.between(0, ids - 1);
  RawPrompt prompt;
  for (int64_t j = 0; j < n; ++j) {
    prompt.tokens.push_back(
        static_cast<int32_t>(settings.first_id + (offset + place_of(spec.id) + j) % ids));
  }
  return prompt;
}

Case load_case(const Settings& settings, CaseSpec spec, const TokenCounter& counter) {
  CaseSpec inner = spec;
  const bool warm_up = inner.tags.erase(kPart) > 0;
  inner.tags.erase("concurrency");
  inner.tags.erase("rate");
  inner.load = {};
  inner.id.erase(0, inner.id.find('/') + 1 + (warm_up ? std::string("w0000/").size() : 0));
  Case out = settings.load->build(settings.load_parameters, inner, counter);
  out.spec = std::move(spec);
  out.expected = nlohmann::json{{"suite", settings.load->name()},
                                {"warm_up", warm_up},
                                {"expected", std::move(out.expected)}}
                     .dump();
  return out;
}

class Throughput final : public Suite {
 public:
  std::string_view name() const override { return "throughput"; }
  std::string_view toml() const override { return throughput_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const Settings settings = throughput::read_settings(parameters);
    const std::vector<CaseSpec> load =
        settings.load
            ? load_cases(settings)
            : std::vector<CaseSpec>(static_cast<size_t>(settings.requests + settings.warm_up));
    std::vector<CaseSpec> cases;
    for (const Group& group : groups_of(settings)) {
      for (const bool warm_up : {true, false}) add_group(settings, group, warm_up, load, cases);
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    const Settings settings = throughput::read_settings(parameters);
    if (settings.load) return settings.load->needs(settings.load_parameters);
    if (settings.random_ids) return {Need::kRawPrompts};
    return Suite::needs(parameters);
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const Settings settings = throughput::read_settings(parameters);
    if (settings.load) return load_case(settings, spec, counter);
    Case out;
    out.spec = spec;
    out.limits.max_tokens = settings.common.max_tokens;
    out.limits.ignore_end = true;
    out.cold = true;
    if (settings.random_ids) {
      Rng rng(spec.seed);
      out.raw = random_ids(settings, spec, rng, out.limits.max_tokens);
    } else {
      out.conversation =
          filler_prompt(spec.seed, settings.input_tokens, settings.common.thinking, counter)
              .conversation;
    }
    out.expected = nlohmann::json{{"answer_tokens", out.limits.max_tokens}}.dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto key = nlohmann::json::parse(expected);
    if (key.contains("suite")) {
      const Suite* load = find_suite(key.at("suite").get<std::string>());
      Score score = load->score(key.at("expected").get<std::string>(), answer);
      if (key.at("warm_up")) score.values.clear();  // no average has it
      return score;
    }
    Score score;
    score.grade = was_cut(answer) ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"complete", as_value(was_cut(answer))}};
    score.extracted = answer.finish_reason;
    score.explanation = was_cut(answer) ? "The answer has all tokens asked for."
                                        : "The answer ended before all tokens asked for: " +
                                              printable(answer.finish_reason) + ".";
    return score;
  }
};

}  // namespace

const Suite& throughput_suite() {
  static const Throughput suite;
  return suite;
}

}  // namespace ds4::suites
