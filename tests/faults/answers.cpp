#include "tests/faults/answers.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "profiles/schema/profile.h"
#include "suites/suite.h"
#include "tests/support/source_dir.h"

namespace ds4::faults {
namespace {

std::filesystem::path answers_path() {
  return test_support::source_dir() / "tests/faults/answers.json";
}

struct Share {
  const char* suite;
  size_t cases;
  suites::Parameters parameters;
};

}  // namespace

AnswerCases::AnswerCases(const std::filesystem::path& checkpoint)
    : checkpoint_(checkpoint), tokenizer_(Tokenizer::load(checkpoint)) {
  const Release release = release_of_checkpoint(checkpoint).value_or(Release::kApril);
  const auto encode = [&](const Conversation& conversation) {
    return tokenizer_->encode(render_prompt(conversation, release), AddedTokens::kParse);
  };
  const suites::TokenCounter counter{
      [&](const Conversation& c) { return static_cast<int64_t>(encode(c).size()); }, true};
  const std::vector<Share> shares{
      {"smoke", 4, {}},
      {"arithmetic", 4, {}},
      {"tool_calls", 2, {}},
      {"needle",
       2,
       {{"lengths", std::vector<int64_t>{512}}, {"samples", std::vector<int64_t>{5}}}}};
  for (const Share& share : shares) {
    const suites::Suite& suite = *suites::find_suite(share.suite);
    suites::Parameters parameters = profiles::suite_definition(suite).defaults;
    for (const auto& [key, value] : share.parameters) parameters[key] = value;
    std::vector<suites::CaseSpec> specs = suite.plan(parameters);
    specs.resize(std::min(specs.size(), share.cases));
    for (const suites::CaseSpec& spec : specs) {
      const suites::Case built = suite.build(parameters, spec, counter);
      prompts_.push_back({share.suite, encode(built.conversation), built.expected,
                          built.limits.max_tokens,
                          built.conversation.thinking == ThinkingMode::kThinking});
    }
  }
  clean_ = texts(Engine::load);
}

std::vector<std::string> AnswerCases::texts(const EngineFactory& make) const {
  EngineSettings settings;
  settings.context_length = 1024;
  settings.threads = 1;
  const auto engine = make(checkpoint_, settings);
  const auto session = engine->new_session();
  std::vector<std::string> answers;
  for (const Prompt& prompt : prompts_) {
    session->extend_to(prompt.tokens);
    StreamDecoder decoder(tokenizer_);
    std::string text;
    for (int64_t n = 0; n < prompt.max_tokens; ++n) {
      const TokenId token = session->sample({});
      if (token == tokenizer_->eos()) break;
      text += decoder.push(token);
      session->append(token);
    }
    answers.push_back(text + decoder.finish());
  }
  return answers;
}

bool AnswerCases::correct(const Prompt& prompt, const std::string& text) const {
  const ParsedCompletion parsed = parse_completion(
      text, prompt.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat, ParseMode::kTolerant);
  suites::Answer answer;
  answer.text = text;
  answer.reasoning = parsed.reasoning;
  answer.content = parsed.content;
  answer.tool_calls = parsed.tool_calls;
  answer.finish_reason = "stop";
  const suites::Suite& suite = *suites::find_suite(prompt.suite);
  return suite.score(prompt.expected, answer).grade == suites::Grade::kCorrect;
}

Answered AnswerCases::answer(const EngineFactory& make) const {
  const std::vector<std::string> given = texts(make);
  Answered result;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    ++result.cases;
    result.changed += given[i] != clean_[i];
    result.wrong += !correct(prompts_[i], given[i]);
  }
  return result;
}

std::map<std::string, Answered> read_answers() {
  std::map<std::string, Answered> answers;
  std::ifstream file(answers_path());
  if (!file) return answers;
  const nlohmann::json object = nlohmann::json::parse(file);
  for (const auto& [name, row] : object.items()) {
    answers[name] = {row.at("cases"), row.at("changed"), row.at("wrong")};
  }
  return answers;
}

void write_answers(const std::map<std::string, Answered>& answers) {
  nlohmann::ordered_json object;
  for (const auto& [name, a] : answers) {
    object[name] = {{"cases", a.cases}, {"changed", a.changed}, {"wrong", a.wrong}};
  }
  std::ofstream(answers_path()) << object.dump(1) << "\n";
}

}  // namespace ds4::faults
