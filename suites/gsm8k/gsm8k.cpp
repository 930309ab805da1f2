// The gsm8k suite: items of the published data set, asked and graded as lm-evaluation-harness does
// (evals.md 1). One thing differs: an answer that the token limit cut before its number is invalid
// here and wrong there.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/datasets.h"
#include "suites/common/numbers.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/gsm8k/draw.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view gsm8k_toml;
extern const std::string_view gsm8k_cot_shots_json;

namespace {

struct Item {
  std::string question, answer;
};

std::vector<Item> parse_lines(std::string_view text) {
  std::vector<Item> items;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const auto line = nlohmann::json::parse(text.substr(0, end));
    items.push_back({line.at("question"), line.at("answer")});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return items;
}

const std::vector<Item>& test_items() {
  static const std::vector<Item> items = parse_lines(dataset_text("gsm8k", "test.jsonl"));
  return items;
}

const std::vector<Item>& train_items() {
  static const std::vector<Item> items = parse_lines(dataset_text("gsm8k", "train.jsonl"));
  return items;
}

const std::vector<Item>& cot_shots() {
  static const std::vector<Item> shots = [] {
    std::vector<Item> out;
    const auto document = nlohmann::json::parse(gsm8k_cot_shots_json);
    for (const auto& shot : document.at("shots")) {
      out.push_back({shot.at("question"), shot.at("answer")});
    }
    return out;
  }();
  return shots;
}

struct Settings {
  std::string task, form;
  int64_t shots = 0, cases = 0, seed = 0;
  CommonParameters common;
  bool cot() const { return task != "gsm8k"; }
};

Settings read_settings(const Parameters& parameters) {
  const ParameterReader reader("gsm8k", parameters);
  Settings out;
  out.common = common_parameters(reader);
  out.task = reader.choice("task", {"gsm8k", "gsm8k_cot", "gsm8k_cot_zeroshot"});
  out.form = reader.choice("form", {"completions", "chat", "multiturn"});
  out.shots = reader.integer("shots", {0, 64, "shots"});
  out.cases = reader.integer("cases", {0, 1319, "items"});
  out.seed = reader.integer("seed", {0, 0xFFFFFFFF, ""});
  const int64_t fixed = out.task == "gsm8k_cot" ? 8 : 0;
  if (out.cot() && out.shots != fixed) {
    throw Error(ErrorCode::kProfile,
                "gsm8k: `shots` is " + std::to_string(out.shots) + "; the task " + out.task +
                    " has " + std::to_string(fixed),
                "Set shots = " + std::to_string(fixed) + ", or task = \"gsm8k\".");
  }
  if (out.form == "completions" && out.common.thinking) {
    throw Error(ErrorCode::kProfile, "gsm8k: `thinking` is for chats; a raw text has no such mode",
                "Set thinking = false, or form = \"chat\".");
  }
  return out;
}

std::vector<Item> shots_of(const Settings& settings, int64_t item) {
  if (settings.task == "gsm8k_cot") return cot_shots();
  std::vector<Item> out;
  if (settings.shots == 0) return out;
  for (const int64_t i : draw_shots(static_cast<uint32_t>(settings.seed), std::ssize(train_items()),
                                    settings.shots, item)) {
    out.push_back(train_items()[static_cast<size_t>(i)]);
  }
  return out;
}

std::string question_text(const Settings& settings, const std::string& question) {
  if (!settings.cot()) return "Question: " + question + "\nAnswer:";
  return "Q: " + question +
         "\nA:" + (settings.task == "gsm8k_cot_zeroshot" ? " Let's think step by step." : "");
}

std::string whole_text(const Settings& settings, const std::vector<Item>& shots,
                       const std::string& question) {
  std::string out;
  for (const Item& shot : shots) {
    out += question_text(settings, shot.question) + " " + shot.answer + "\n\n";
  }
  return out + question_text(settings, question);
}

Conversation turns(const Settings& settings, const std::vector<Item>& shots,
                   const std::string& question) {
  Conversation out = ask(question_text(settings, question), settings.common.thinking);
  std::vector<Message> before;
  for (const Item& shot : shots) {
    before.push_back(message("user", question_text(settings, shot.question)));
    before.push_back(message("assistant", shot.answer));
  }
  out.messages.insert(out.messages.begin(), before.begin(), before.end());
  return out;
}

// What a published solution ends with, behind its last "#### ".
std::string final_number(std::string_view solution) {
  const size_t at = solution.rfind("#### ");
  return normal_number(at == solution.npos ? solution : solution.substr(at + 5));
}

std::vector<std::string> stops(const Settings& settings) {
  return {settings.cot() ? "Q:" : "Question:", "</s>", "<|im_end|>"};
}

class Gsm8k final : public Suite {
 public:
  std::string_view name() const override { return "gsm8k"; }
  std::string_view toml() const override { return gsm8k_toml; }
  std::string_view dataset() const override { return "gsm8k"; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const Settings settings = read_settings(parameters);
    const int64_t all = std::ssize(test_items());
    std::vector<CaseSpec> cases;
    for (int64_t i = 0; i < (settings.cases == 0 ? all : settings.cases); ++i) {
      CaseSpec spec;
      spec.id = numbered_id(i);
      spec.seed = case_seed(name(), settings.seed, spec.id);
      cases.push_back(std::move(spec));
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const Settings settings = read_settings(parameters);
    const int64_t item = std::stoll(spec.id);
    const auto& [question, answer] = test_items().at(static_cast<size_t>(item));
    const std::vector<Item> shots = shots_of(settings, item);
    Case out;
    out.spec = spec;
    if (settings.form == "multiturn") {
      out.conversation = turns(settings, shots, question);
    } else if (settings.form == "chat") {
      out.conversation = ask(whole_text(settings, shots, question), settings.common.thinking);
    } else {
      out.raw = RawPrompt{whole_text(settings, shots, question)};
    }
    out.limits.max_tokens = settings.common.max_tokens;
    // In a chat they could end a reasoning trace; there score() applies them, to the answer alone.
    if (out.raw) out.limits.sampling.stop = stops(settings);
    out.expected =
        nlohmann::json{{"answer", answer}, {"cot", settings.cot()}, {"stop", stops(settings)}}
            .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto key = nlohmann::json::parse(expected);
    std::string_view text = visible_answer(answer);
    for (const std::string& stop : key.at("stop").get<std::vector<std::string>>()) {
      text = text.substr(0, text.find(stop));
    }
    const auto marked = key.at("cot") ? answer_is_number(text) : strict_number(text);
    // A number that ends a cut answer may have gone on.
    if (was_cut(answer) && (!marked || marked->at_end)) {
      return invalid_score(answer, "the final number was complete");
    }
    const auto last = flexible_number(text);
    const std::string wanted = final_number(key.at("answer").get<std::string>());
    const bool strict_right = marked && normal_number(marked->text) == wanted;
    const bool flexible_right = last && normal_number(last->text) == wanted;
    Score score;
    score.grade = flexible_right ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"flexible", as_value(flexible_right)}, {"strict", as_value(strict_right)}};
    score.extracted = last ? printable(last->text) : "";
    score.explanation =
        !last ? "The answer has no number"
              : "The last number is " + score.extracted +
                    (marked ? ", the marked one " + printable(marked->text) : ", none is marked");
    score.explanation += "; " + wanted + " is right.";
    return score;
  }
};

}  // namespace

const Suite& gsm8k_suite() {
  static const Gsm8k suite;
  return suite;
}

}  // namespace ds4::suites
