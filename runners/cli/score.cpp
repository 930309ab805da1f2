// `score`: the exact log-likelihood of a text under the model, behind a prompt or from the start.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/api/scores.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/cli/engine_flags.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct ScoreOptions {
  std::string checkpoint, file, prompt_file;
  bool raw = false;
  EngineSettings settings;
};

std::string read_text(const std::string& source) {
  if (source != "-") return read_file(source);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

void run_score(ScoreOptions options, bool json) {
  const auto tokenizer = Tokenizer::load(options.checkpoint);
  const AddedTokens added = options.raw ? AddedTokens::kPlain : AddedTokens::kParse;
  std::vector<TokenId> prompt = {tokenizer->bos()};
  if (!options.prompt_file.empty()) {
    const auto more = tokenizer->encode(read_text(options.prompt_file), added);
    // A prompt that begins with the marker itself gets no second one.
    if (!more.empty() && more.front() == prompt.front()) prompt.clear();
    prompt.insert(prompt.end(), more.begin(), more.end());
  }
  const auto continuation = tokenizer->encode(read_text(options.file), added);
  if (continuation.empty()) {
    throw Error(ErrorCode::kUsage, options.file + ": no text to score", "Give a file with text.");
  }
  options.settings.context_length = std::ssize(prompt) + std::ssize(continuation);
  const auto engine = Engine::load(options.checkpoint, options.settings);
  const auto session = engine->new_session();
  const std::vector<double> scores = score_continuation(*session, prompt, continuation);
  const double total = std::accumulate(scores.begin(), scores.end(), 0.0);
  const double mean = total / static_cast<double>(scores.size());
  if (!json) {
    std::printf("%zu tokens behind %zu: log-likelihood %.6f, %.6f per token, perplexity %.4f\n",
                scores.size(), prompt.size(), total, mean, std::exp(-mean));
    return;
  }
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  for (size_t i = 0; i < scores.size(); ++i) {
    tokens.push_back({{"id", continuation[i]},
                      {"text", tokenizer->token_bytes(continuation[i])},
                      {"logprob", scores[i]}});
  }
  const nlohmann::ordered_json report = {
      {"format", 1},       {"prompt_tokens", prompt.size()}, {"log_likelihood", total},
      {"per_token", mean}, {"perplexity", std::exp(-mean)},  {"tokens", std::move(tokens)}};
  std::puts(report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

void add_score(CLI::App& app, Common& common) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* verb = app.add_subcommand("score", "Exact log-likelihood of a text");
  verb->footer(
      "The text's tokens are scored by softmax(logits) in double, each given all before it; "
      "the prompt, and a\nbeginning-of-sentence marker in front, are given and not scored.\n"
      "Examples:\n"
      "  ds4-sweep score --checkpoint checkpoints/tiny answer.txt --prompt question.txt\n"
      "  echo -n hello | ds4-sweep score --checkpoint DIR - --json");
  verb->add_option("FILE", options->file, "Text to score; `-` is standard input")->required();
  add_engine_flags(verb, options->checkpoint, options->settings);
  verb->add_option("--prompt", options->prompt_file, "File with the text in front of it");
  verb->add_flag("--raw", options->raw, "Markers such as <think> in the files are plain text");
  verb->add_flag("--json", common.json, "Each token with its log-probability, as JSON");
  verb->callback([options, &common] { run_score(*options, common.json); });
}

}  // namespace ds4::cli
