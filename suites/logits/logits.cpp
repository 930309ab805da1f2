// The logits suite: questions answered greedily and texts read, with the log-probabilities of every
// token. It asks for traces and judges none: two of them are compared where they are read
// (reports/trace).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/hash.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/long_text.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view logits_toml;
extern const std::string_view logits_questions_json;

namespace {

const std::vector<std::string>& all_questions() {
  static const auto questions =
      nlohmann::json::parse(logits_questions_json).get<std::vector<std::string>>();
  return questions;
}

struct Settings {
  CommonParameters common;
  bool answers = false, texts = false;
  int64_t questions = 0, texts_each = 0, top = 0;
  std::vector<int64_t> lengths;
  std::string text, opening;
};

Settings read_settings(const Parameters& parameters) {
  const ParameterReader reader("logits", parameters);
  Settings settings;
  settings.common = common_parameters(reader);
  const std::vector<std::string> parts = reader.choices("parts", {"answers", "texts"});
  settings.answers = std::find(parts.begin(), parts.end(), "answers") != parts.end();
  settings.texts = std::find(parts.begin(), parts.end(), "texts") != parts.end();
  settings.questions = reader.integer("questions", {1, std::ssize(all_questions()), "questions"});
  settings.texts_each = reader.integer("texts", {0, 64, "texts"});
  settings.lengths = reader.integers("lengths", {128, 1048576, "tokens"});
  settings.top = reader.integer("top", {2, 20, "tokens"});
  settings.text = parameter_as<std::string>(parameters, "text");
  settings.opening = parameter_as<std::string>(parameters, "opening");
  return settings;
}

CaseSpec make_spec(const Settings& settings, std::string id, std::string part) {
  CaseSpec spec;
  spec.id = std::move(id);
  spec.tags = {{"kind", std::move(part)}};
  spec.seed = case_seed("logits", settings.common.seed, spec.id);
  return spec;
}

// Of a file there is one text; its beginnings are as good as any other.
int64_t texts_of(const Settings& settings) {
  return settings.text.empty() ? settings.texts_each : std::min<int64_t>(1, settings.texts_each);
}

class Logits final : public Suite {
 public:
  std::string_view name() const override { return "logits"; }
  std::string_view toml() const override { return logits_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const Settings settings = read_settings(parameters);
    std::vector<CaseSpec> cases;
    for (int64_t i = 0; settings.answers && i < settings.questions; ++i) {
      cases.push_back(make_spec(settings, "answer/" + numbered_id(i), "answer"));
    }
    for (const int64_t length : settings.lengths) {
      for (int64_t i = 0; settings.texts && i < texts_of(settings); ++i) {
        const std::string tokens = std::to_string(length);
        cases.push_back(make_spec(settings, "text/" + tokens + "/" + numbered_id(i), "text"));
        cases.back().tags["length"] = tokens;
      }
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    const Settings settings = read_settings(parameters);
    std::vector<Need> needs;
    if (settings.answers) {
      needs = Suite::needs(parameters);
      needs.push_back(Need::kLogprobs);
    }
    if (settings.texts) {
      needs.insert(needs.end(), {Need::kRawPrompts, Need::kPromptLogprobs});
    }
    return needs;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const Settings settings = read_settings(parameters);
    Case out;
    out.spec = spec;
    out.limits.max_tokens = settings.common.max_tokens;
    out.limits.logprobs = {.answer = true, .prompt = false, .top = settings.top};
    nlohmann::json expected = {{"kind", spec.tags.at("kind")}};
    if (spec.tags.at("kind") == "answer") {
      const auto number = static_cast<size_t>(std::stoll(spec.id.substr(spec.id.find('/') + 1)));
      out.conversation = ask(all_questions().at(number), settings.common.thinking);
    } else {
      out.conversation.thinking =
          settings.common.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
      const int64_t tokens = std::stoll(spec.tags.at("length"));
      out.raw = RawPrompt{text_of(settings, spec, tokens, counter)};
      out.limits.logprobs.prompt = true;
      if (!settings.text.empty()) {
        expected["text_sha256"] = sha256_hex(file_text("logits", settings.text));
      }
    }
    out.expected = expected.dump();
    return out;
  }

  Score score(std::string_view, const Answer& answer) const override {
    const bool complete = answer.finish_reason == "stop" || answer.finish_reason == "length";
    Score score;
    score.grade = complete ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"complete", as_value(complete)}};
    score.extracted = printable(answer.finish_reason);
    score.explanation = complete ? "The trace is whole." : "The answer was broken off.";
    return score;
  }

 private:
  static std::string text_of(const Settings& settings, const CaseSpec& spec, int64_t tokens,
                             const TokenCounter& counter) {
    const std::string text = settings.text.empty() ? generated_text(spec.seed, 2 * tokens)
                                                   : file_text("logits", settings.text);
    return beginning_of("logits", settings.opening + text, tokens, counter).text;
  }
};

}  // namespace

const Suite& logits_suite() {
  static const Logits suite;
  return suite;
}

}  // namespace ds4::suites
