// `generate`: talk to a checkpoint. One answer to a prompt, or a conversation when none is given.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/api/checkpoints.h"
#include "engine/api/scores.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/cli/engine_flags.h"
#include "runners/cli/sampling_flags.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct GenerateOptions {
  std::string checkpoint, prompt, system;
  bool thinking = false, json = false;
  int64_t max_tokens = 256;
  int64_t logprobs = 0;
  std::vector<std::string> stop;
  EngineSettings settings;
  SamplingSettings sampling;
};

// A token of an answer as --logprobs and --json show it.
struct Shown {
  TokenId token = 0;
  Logprobs logprobs;
};

class Talk {
 public:
  explicit Talk(const GenerateOptions& options)
      : options_(options),
        tokenizer_(Tokenizer::load(options.checkpoint)),
        release_(release_of_checkpoint(options.checkpoint).value_or(Release::kApril)),
        engine_(Engine::load(options.checkpoint, options.settings)),
        session_(engine_->new_session()) {
    conversation_.thinking = options.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
    if (!options.system.empty()) add("system", options.system);
  }

  // Streams the answer to stdout and speed to stderr; keeps it as part of the conversation.
  void answer(const std::string& prompt) {
    add("user", prompt);
    const auto tokens =
        tokenizer_->encode(render_prompt(conversation_, release_), AddedTokens::kParse);
    const double start = monotonic_seconds();
    session_->extend_to(tokens);
    StreamDecoder decoder(tokenizer_);
    StopStrings stops(options_.stop);
    std::string text, finish = "length";
    const auto emit = [&](const std::string& piece) {
      text += piece;
      if (options_.json) return;
      std::fputs(piece.c_str(), stdout);
      std::fflush(stdout);
    };
    std::vector<Shown> shown;
    int64_t n = 0;
    double first = 0;
    const TokenId eos[] = {tokenizer_->eos()};
    bool more = options_.max_tokens > 0;
    const auto take = [&](TokenId token, Logprobs logprobs) {
      ++n;
      if (options_.json || options_.logprobs > 0) shown.push_back({token, std::move(logprobs)});
      if (token != eos[0]) emit(stops.push(decoder.push(token)));
      if (token == eos[0] || stops.stopped()) finish = "stop";
      more = n < options_.max_tokens && finish == "length";
    };
    while (more && session_->length() < options_.settings.context_length) {
      // Shown when drawn, a pass before drafts behind it are kept.
      const auto show = [&](TokenId drawn) {
        take(drawn, options_.logprobs > 0
                        ? log_probabilities(session_->logits(), {&drawn, 1}, options_.logprobs)
                        : Logprobs{});
        if (n == 1) first = monotonic_seconds();
        return more;
      };
      const auto round = session_->decode(options_.sampling, options_.max_tokens - n, eos, show);
      for (size_t i = 1; i < round.size() && more; ++i) take(round[i], {});
    }
    emit(stops.push(decoder.finish()));
    emit(stops.finish() + (options_.json ? "" : "\n"));
    const double end = monotonic_seconds();
    const ParsedCompletion parsed =
        parse_completion(text, conversation_.thinking, ParseMode::kTolerant);
    Message message;
    message.role = "assistant";
    message.content = parsed.content;
    message.reasoning_content = parsed.reasoning;
    message.tool_calls = parsed.tool_calls;
    conversation_.messages.push_back(message);
    if (options_.json) {
      print_json(text, finish, tokens.size(), shown);
    } else {
      for (const Shown& token : shown) print_logprobs(token);
    }
    std::fprintf(stderr, "[prompt %zu tokens (%lld reused), TTFT %.3f s; answer %lld tokens",
                 tokens.size(), static_cast<long long>(session_->reused()), first - start,
                 static_cast<long long>(n));
    if (n > 1) std::fprintf(stderr, ", %.1f tok/s", static_cast<double>(n - 1) / (end - first));
    if (options_.settings.draft_tokens > 0 && session_->draft_counts().rounds > 0) {
      std::fprintf(stderr, ", %.2f a round", tokens_a_round(session_->draft_counts()));
    }
    std::fputs("]\n", stderr);
  }

 private:
  static double tokens_a_round(const DraftCounts& counts) {
    int64_t tokens = counts.rounds;
    for (const int64_t accepted : counts.accepted) tokens += accepted;
    return static_cast<double>(tokens) / static_cast<double>(counts.rounds);
  }
  void add(const std::string& role, const std::string& content) {
    Message message;
    message.role = role;
    message.content = content;
    conversation_.messages.push_back(message);
  }

  // A token's text fit for one line of a terminal or a JSON string.
  std::string text_of(TokenId token) const {
    return nlohmann::json(tokenizer_->token_bytes(token))
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  void print_logprobs(const Shown& shown) const {
    std::string line =
        text_of(shown.token) + " " + format_logprob(shown.logprobs.of.front()) + " |";
    for (const TokenLogprob& top : shown.logprobs.top) {
      line += " " + text_of(top.token) + " " + format_logprob(top.logprob);
    }
    std::fprintf(stderr, "%s\n", line.c_str());
  }

  static std::string format_logprob(double logprob) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", logprob);
    return text;
  }

  void print_json(const std::string& text, const std::string& finish, size_t prompt_tokens,
                  const std::vector<Shown>& shown) const {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Shown& token : shown) {
      nlohmann::ordered_json entry = {{"id", token.token},
                                      {"text", tokenizer_->token_bytes(token.token)}};
      if (!token.logprobs.of.empty()) entry["logprob"] = token.logprobs.of.front();
      for (const TokenLogprob& top : token.logprobs.top) {
        entry["top"].push_back({{"id", top.token},
                                {"text", tokenizer_->token_bytes(top.token)},
                                {"logprob", top.logprob}});
      }
      list.push_back(std::move(entry));
    }
    const nlohmann::ordered_json answer = {{"format", 1},
                                           {"text", text},
                                           {"finish_reason", finish},
                                           {"prompt_tokens", prompt_tokens},
                                           {"tokens", std::move(list)}};
    std::puts(answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }

  const GenerateOptions& options_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  const Release release_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  Conversation conversation_;
};

void run_generate(const GenerateOptions& options) {
  Talk talk(options);
  if (!options.prompt.empty()) {
    talk.answer(options.prompt);
    return;
  }
  const bool interactive = ::isatty(STDIN_FILENO) != 0;
  std::string line;
  while ((!interactive || std::fputs("> ", stderr) >= 0) && std::getline(std::cin, line)) {
    if (!line.empty()) talk.answer(line);
  }
}

}  // namespace

void add_generate(CLI::App& app, Common&) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* verb = app.add_subcommand("generate", "Talk to a checkpoint, streaming");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep generate --checkpoint checkpoints/tiny \"What is 12 + 30?\"\n"
      "  ds4-sweep generate --checkpoint DIR --temperature 1 --seed 7     a conversation; end with "
      "Ctrl-D");
  verb->add_option("PROMPT", options->prompt, "What to ask; without it, lines of standard input");
  add_engine_flags(verb, options->checkpoint, options->settings);
  verb->add_option("--system", options->system, "System message");
  verb->add_flag("--thinking", options->thinking, "Thinking mode");
  verb->add_option("--context", options->settings.context_length, "Tokens the session can hold")
      ->capture_default_str();
  verb->add_option("--max-tokens", options->max_tokens, "Tokens of an answer at most")
      ->capture_default_str();
  verb->add_option("--draft-tokens", options->settings.draft_tokens,
                   "Tokens guessed beside each drawn one; changes the speed, not the answer")
      ->capture_default_str();
  add_sampling_flags(verb, options->sampling);
  verb->add_option("--stop", options->stop,
                   "Text that ends an answer and does not belong to it. May be repeated")
      ->take_all()
      ->allow_extra_args(false);
  verb->add_option("--logprobs", options->logprobs,
                   "Log-probability of each token and of this many of the likeliest, of the "
                   "model's own distribution; turns drafting off")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "One JSON object per answer instead of the stream");
  verb->callback([options] {
    options->checkpoint = resolve_checkpoint(options->checkpoint).string();
    if (options->logprobs > 0) options->settings.draft_tokens = 0;
    run_generate(*options);
  });
}

}  // namespace ds4::cli
