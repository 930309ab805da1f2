// `logits`: f32 logits of a token sequence to a safetensors file, the door for comparing us with
// another implementation. Needs config and weights only, no tokenizer.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/api/checkpoints.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/cli/engine_flags.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct LogitsOptions {
  std::string checkpoint, tokens, out;
  bool all_positions = false;
  EngineSettings settings;
};

// A JSON list of ids, or ids separated by white space or commas.
std::vector<TokenId> read_tokens(const std::string& source) {
  std::string text =
      source == "-" ? std::string{std::istreambuf_iterator<char>(std::cin), {}} : read_file(source);
  for (char& c : text) {
    if (std::strchr(",[]\n\r\t", c) && c != '\0') c = ' ';
  }
  std::vector<TokenId> tokens;
  const char* at = text.c_str();
  while (*(at += std::strspn(at, " ")) != '\0') {
    char* end = nullptr;
    const long value = std::strtol(at, &end, 10);
    if (end == at || (*end != ' ' && *end != '\0') || value < 0 || value > INT32_MAX) {
      throw Error(ErrorCode::kUsage,
                  source + ": `" + std::string(at, std::strcspn(at, " ")) + "` is not a token id",
                  "Give a JSON list of ids, or ids separated by blanks.");
    }
    tokens.push_back(static_cast<TokenId>(value));
    at = end;
  }
  return tokens;
}

// One F32 tensor "logits" [rows, vocab] and one I64 tensor "positions" [rows].
std::string to_safetensors(const std::vector<float>& logits, const std::vector<int64_t>& positions,
                           int64_t vocab) {
  const size_t logit_bytes = logits.size() * sizeof(float);
  const size_t position_bytes = positions.size() * sizeof(int64_t);
  nlohmann::ordered_json header;
  header["positions"] = {
      {"dtype", "I64"}, {"shape", {positions.size()}}, {"data_offsets", {0, position_bytes}}};
  header["logits"] = {{"dtype", "F32"},
                      {"shape", {positions.size(), vocab}},
                      {"data_offsets", {position_bytes, position_bytes + logit_bytes}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += text;
  file.append(reinterpret_cast<const char*>(positions.data()), position_bytes);
  file.append(reinterpret_cast<const char*>(logits.data()), logit_bytes);
  return file;
}

void run_logits(LogitsOptions options) {
  options.checkpoint = resolve_checkpoint(options.checkpoint).string();
  const std::vector<TokenId> tokens = read_tokens(options.tokens);
  options.settings.context_length = static_cast<int64_t>(tokens.size()) + 1;
  const auto engine = Engine::load(options.checkpoint, options.settings);
  const auto session = engine->new_session();
  std::vector<float> logits;
  std::vector<int64_t> positions;
  const Session::LogitSink keep_all = [&](int64_t position, std::span<const float> rows) {
    const int64_t vocab = engine->info().vocab_size;
    for (int64_t i = 0; i * vocab < std::ssize(rows); ++i) positions.push_back(position + i);
    logits.insert(logits.end(), rows.begin(), rows.end());
  };
  session->extend_to(tokens, nullptr, options.all_positions ? keep_all : nullptr);
  if (!options.all_positions) {
    const auto last = session->logits();
    logits.assign(last.begin(), last.end());
    positions.push_back(session->length() - 1);
  }
  write_file_atomic(options.out, to_safetensors(logits, positions, engine->info().vocab_size));
  std::fprintf(stderr, "%s: logits [%zu, %lld]\n", options.out.c_str(), positions.size(),
               static_cast<long long>(engine->info().vocab_size));
}

}  // namespace

void add_logits(CLI::App& app, Common&) {
  auto options = std::make_shared<LogitsOptions>();
  CLI::App* verb = app.add_subcommand("logits", "Write the logits of a token sequence to a file");
  verb->footer(
      "Examples:\n"
      "  echo '[0, 3, 17]' | ds4-sweep logits --checkpoint checkpoints/tiny --tokens - --out "
      "l.safetensors\n"
      "  ds4-sweep logits --checkpoint DIR --tokens ids.json --precision f32 --all-positions --out "
      "l.safetensors");
  add_engine_flags(verb, options->checkpoint, options->settings);
  static const std::map<std::string, Precision> kPrecision{{"reference", Precision::kReference},
                                                           {"f32", Precision::kF32}};
  verb->add_option("--precision", options->settings.precision,
                   "reference, or f32: no rounding point and no simulation (cpu)")
      ->transform(CLI::CheckedTransformer(kPrecision));
  verb->add_option("--tokens", options->tokens, "JSON list or text of ids; `-` is standard input")
      ->required();
  verb->add_flag("--all-positions", options->all_positions, "Every position instead of the last");
  verb->add_option("--out", options->out, "Safetensors file to write: logits, positions")
      ->required();
  verb->callback([options] { run_logits(*options); });
}

}  // namespace ds4::cli
