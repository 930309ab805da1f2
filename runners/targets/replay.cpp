// The replay target gives the answers of a recorded run again, at once and with the times they had,
// so that suites, scorers and reports run without a model. What was not recorded is an error of its
// case.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/api/checkpoints.h"
#include "engine/api/text.h"
#include "engine/base/error.h"
#include "runners/recording.h"
#include "runners/targets/byte_count.h"
#include "runners/targets/registry.h"
#include "runners/worker.h"

namespace ds4::runners {
namespace {

std::string prompt_of(const Conversation& conversation,
                      const std::optional<suites::RawPrompt>& raw = {}) {
  suites::Case c;
  c.conversation = conversation;
  c.raw = raw;
  return prompt_text(c);
}

// A cut answer has its text in proportion to its tokens: which belonged to which is not recorded.
std::string beginning(const std::string& text, int64_t tokens, int64_t of) {
  size_t end = text.size() * static_cast<size_t>(tokens) / static_cast<size_t>(of);
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

class ReplayTarget final : public OneAtATime {
 public:
  explicit ReplayTarget(const profiles::Profile& profile) : profile_(profile) {}

  Capabilities open(const OnPhase& on_phase) override {
    on_phase("load", "reading the recording");
    recording_.emplace(profile_.recording);
    if (!profile_.checkpoint.empty()) {
      const auto checkpoint = resolve_checkpoint(profile_.checkpoint);
      tokenizer_ = Tokenizer::load(checkpoint);
      release_ = release_of_checkpoint(checkpoint).value_or(Release::kApril);
    }
    Capabilities can;
    // Log-probabilities are in no store.
    const auto told = nlohmann::json::parse(recording_->target(), nullptr, false);
    const auto could = [&](const char* what) {
      return !told.is_object() || told.value(what, true);
    };
    can.tools = could("tools");
    can.thinking = could("thinking");
    can.no_thinking = could("no_thinking");
    can.raw_prompts = could("raw_prompts");
    can.exact_token_counts = tokenizer_ != nullptr && could("exact_token_counts");
    can.description = "replay of " + recording_->description() + ": " +
                      std::to_string(recording_->size()) + " cases";
    return can;
  }

  int64_t count_tokens(const Conversation& conversation) override {
    const RecordedCase* known = recording_->by_prompt(prompt_of(conversation));
    if (known) return known->turns.front().response.prompt_tokens;
    if (!tokenizer_) return count_bytes(conversation);
    const auto tokens =
        tokenizer_->encode(render_prompt(conversation, release_), AddedTokens::kParse);
    return std::ssize(tokens);
  }

  Response submit(Work& work, const Work::Item& item) override {
    Response response;
    const RecordedTurn* turn = find(item.request, response.error);
    if (!turn) {
      response.failure = Failure::kRefused;
      return response;
    }
    response = turn->response;
    play(work, item.id, response);
    return response;
  }

  std::vector<probes::Sample> observe() override { return {}; }
  void close() override {}

 private:
  // The recorded turn that this request asks for; null with the reason in `error`.
  const RecordedTurn* find(const Request& request, std::string& error) {
    const std::string prompt = prompt_of(request.conversation, request.raw);
    const std::string& name = request.name;
    const RecordedCase* recorded =
        name.empty() ? recording_->by_prompt(prompt) : recording_->by_name(name);
    if (!recorded) {
      error = "nothing is recorded for " + (name.empty() ? "this prompt" : "the case " + name) +
              " in " + recording_->description();
      return nullptr;
    }
    if (recorded->prompt == prompt) {
      turns_[name] = 1;
      return &recorded->turns.front();
    }
    const size_t turn = turns_[name];
    if (turn == 0) {
      error = "the prompt of " + name +
              " is another than the recorded one: its parameters, its "
              "suite's version or the counting of tokens changed";
      return nullptr;
    }
    if (turn >= recorded->turns.size() || !says(request, recorded->turns[turn].said)) {
      error = "turn " + std::to_string(turn + 1) + " of " + name + " was not recorded so";
      return nullptr;
    }
    ++turns_[name];
    return &recorded->turns[turn];
  }

  // Whether the conversation ends with what was said then.
  static bool says(const Request& request, const std::vector<ds4::Message>& said) {
    const auto& messages = request.conversation.messages;
    return messages.size() >= said.size() &&
           std::equal(said.rbegin(), said.rend(), messages.rbegin(),
                      [](const ds4::Message& a, const ds4::Message& b) {
                        return a.role == b.role && a.content == b.content;
                      });
  }

  // Told as it came, but at once; cut where it is to be.
  static void play(Work& work, int64_t id, Response& response) {
    const Response whole = response;
    if (!work.progress(id, whole.prompt_tokens, 0)) return cut(response, 0);
    int64_t tokens = 0;
    for (size_t i = 0; i < whole.events.size(); ++i) {
      tokens += whole.events[i].n_tokens;
      if (work.progress(id, whole.prompt_tokens, tokens)) continue;
      cut(response, i + 1);
      break;
    }
    const suites::Answer& answer = response.answer;
    if (answer.reasoning.empty() && answer.content.empty()) return;
    work.text(id, {answer.reasoning, answer.content, response.completion_tokens});
  }

  static void cut(Response& response, size_t events) {
    const int64_t all = std::max<int64_t>(1, response.completion_tokens);
    response.events.resize(events);
    response.completion_tokens = 0;
    for (const TokenEvent& event : response.events) response.completion_tokens += event.n_tokens;
    suites::Answer& answer = response.answer;
    for (std::string* text : {&answer.text, &answer.reasoning, &answer.content}) {
      *text = beginning(*text, response.completion_tokens, all);
    }
    answer.tool_calls.clear();
    answer.finish_reason = "cancelled";
    response.end_s = events == 0 ? 0 : response.events.back().time_s;
    if (events == 0) response.first_token_s = -1;
  }

  const profiles::Profile profile_;
  std::optional<Recording> recording_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Release release_ = Release::kApril;
  std::map<std::string, size_t> turns_;  // by case: how many were given
};

}  // namespace

std::unique_ptr<Target> make_replay_target(const profiles::Profile& profile) {
  return std::make_unique<ReplayTarget>(profile);
}

}  // namespace ds4::runners
