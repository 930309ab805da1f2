#include "runners/targets/target.h"

#include <nlohmann/json.hpp>

namespace ds4::runners {
namespace {

// nullptr when the capabilities do.
const char* lack_of(const Capabilities& has, suites::Need need) {
  using suites::Need;
  switch (need) {
    case Need::kThinking:
      return has.thinking ? nullptr : "thinking cannot be had from it";
    case Need::kNoThinking:
      return has.no_thinking ? nullptr : "its thinking cannot be switched off";
    case Need::kTools:
      return has.tools ? nullptr : "it takes no tools";
    case Need::kRawPrompts:
      return has.raw_prompts ? nullptr : "it takes no raw prompts";
    case Need::kLogprobs:
      return has.logprobs ? nullptr : "it gives no log-probabilities";
    case Need::kPromptLogprobs:
      return has.prompt_logprobs ? nullptr : "it gives no log-probabilities of prompts";
    case Need::kExactCounts:
      return has.exact_token_counts ? nullptr : "it does not count tokens beforehand";
  }
  return nullptr;
}

}  // namespace

std::string missing_of(const Capabilities& capabilities, const std::vector<suites::Need>& needs) {
  std::string text;
  for (const suites::Need need : needs) {
    const char* lack = lack_of(capabilities, need);
    if (lack) text += (text.empty() ? "" : ", ") + std::string(lack);
  }
  return text;
}

std::string to_json(const Capabilities& c) {
  nlohmann::json j = {{"exact_token_counts", c.exact_token_counts},
                      {"tools", c.tools},
                      {"thinking", c.thinking},
                      {"no_thinking", c.no_thinking},
                      {"raw_prompts", c.raw_prompts},
                      {"logprobs", c.logprobs},
                      {"prompt_logprobs", c.prompt_logprobs},
                      {"description", c.description}};
  if (!c.findings.empty()) j["findings"] = nlohmann::json::parse(c.findings, nullptr, false);
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void OneAtATime::run(Work& work) {
  while (const std::optional<Work::Item> item = work.next(/*wait=*/true)) {
    work.done(item->id, submit(work, *item));
  }
}

}  // namespace ds4::runners
