// `generate`: talk to a checkpoint. One answer to a prompt, or a conversation when none is given.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "engine/api/checkpoints.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/cli/engine_flags.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct GenerateOptions {
  std::string checkpoint, prompt, system;
  bool thinking = false;
  int64_t max_tokens = 256;
  EngineSettings settings;
  SamplingSettings sampling;
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
    std::string text;
    const auto emit = [&](const std::string& piece) {
      text += piece;
      std::fputs(piece.c_str(), stdout);
      std::fflush(stdout);
    };
    int64_t n = 0;
    double first = 0;
    const TokenId eos[] = {tokenizer_->eos()};
    bool more = options_.max_tokens > 0;
    const auto take = [&](TokenId token) {
      more = ++n < options_.max_tokens && token != eos[0];
      if (token != eos[0]) emit(decoder.push(token));
    };
    while (more && session_->length() < options_.settings.context_length) {
      // Shown when drawn, a pass before it is computed; the round draws the same token again.
      take(session_->sample(options_.sampling));
      if (n == 1) first = monotonic_seconds();
      if (!more) break;
      const auto round = session_->decode(options_.sampling, 1 + options_.max_tokens - n, eos);
      for (size_t i = 1; i < round.size(); ++i) take(round[i]);
    }
    emit(decoder.finish() + "\n");
    const double end = monotonic_seconds();
    const ParsedCompletion parsed =
        parse_completion(text, conversation_.thinking, ParseMode::kTolerant);
    Message message;
    message.role = "assistant";
    message.content = parsed.content;
    message.reasoning_content = parsed.reasoning;
    message.tool_calls = parsed.tool_calls;
    conversation_.messages.push_back(message);
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
  verb->add_option("--temperature", options->sampling.temperature, "0 = greedy")
      ->capture_default_str();
  verb->add_option("--top-p", options->sampling.top_p, "Nucleus sampling")->capture_default_str();
  verb->add_option("--seed", options->sampling.seed, "Seed of the draws")->capture_default_str();
  verb->callback([options] {
    options->checkpoint = resolve_checkpoint(options->checkpoint).string();
    run_generate(*options);
  });
}

}  // namespace ds4::cli
