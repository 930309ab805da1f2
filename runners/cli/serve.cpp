// `serve`: a target behind the OpenAI protocol, until it is told to stop.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/api/checkpoints.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "runners/cli/stop_signals.h"
#include "runners/cli/verbs.h"
#include "runners/serve/server.h"
#include "runners/targets/registry.h"

namespace ds4::cli {
namespace {

struct ServeOptions {
  profiles::Profile profile;
  runners::serve::Settings settings;
  std::string api_key_env, most_body = "32MiB";
  bool thinking = false;
};

void settle(ServeOptions& options) {
  runners::serve::Settings& settings = options.settings;
  profiles::Profile& profile = options.profile;
  if (!options.api_key_env.empty()) {
    const char* key = std::getenv(options.api_key_env.c_str());
    if (!key || !*key) {
      throw Error(ErrorCode::kUsage,
                  "--api-key-env " + options.api_key_env + ": the variable is not set or empty",
                  "Export it with the key that clients are to send.");
    }
    settings.api_key = key;
  }
  settings.most_body_bytes = static_cast<size_t>(parse_bytes(options.most_body));
  settings.thinking = options.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
  settings.sequences = profile.engine.sequences;
  if (profile.target != "engine") {
    if (settings.model.empty()) settings.model = profile.target;
    return;
  }
  if (profile.checkpoint.empty()) {
    throw Error(ErrorCode::kUsage, "--checkpoint is missing",
                "Name a checkpoint folder, for example --checkpoint checkpoints/tiny.");
  }
  profile.checkpoint = resolve_checkpoint(profile.checkpoint);
  settings.context_length = profile.engine.context_length;
  settings.tokenizer = Tokenizer::load(profile.checkpoint);
  settings.release = release_of_checkpoint(profile.checkpoint).value_or(Release::kApril);
  if (settings.model.empty()) {
    settings.model = std::filesystem::absolute(profile.checkpoint / ".").parent_path().filename();
  }
}

void announce(const runners::serve::Server& server, const ServeOptions& options,
              const std::string& description, bool json) {
  const std::string& model = options.settings.model;
  if (json) {
    const nlohmann::ordered_json ready = {
        {"format", 1},          {"event", "ready"},
        {"url", server.url()},  {"port", server.port()},
        {"model", model},       {"context_length", options.settings.context_length},
        {"target", description}};
    std::puts(ready.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s (%s)\nserved at %s/v1; Ctrl-C stops\n", model.c_str(), description.c_str(),
                server.url().c_str());
  }
  std::fflush(stdout);
}

void run_serve(ServeOptions& options, bool json) {
  settle(options);
  const auto target = runners::make_target(options.profile);
  runners::serve::Metrics metrics(options.settings.model);
  runners::serve::RequestQueue queue(options.settings.most_waiting, metrics);
  runners::serve::Log log(options.settings.quiet);
  std::atomic<bool> loading = true;
  const StopSignals signals([&] {
    if (loading) std::_Exit(130);  // there is nothing yet that could be ended in order
    log.line("told to stop");
    queue.close();
  });
  runners::serve::Server server(options.settings, queue, metrics, log);
  const runners::Capabilities capabilities =
      target->open([&](const std::string& phase, const std::string& detail) {
        log.line(phase + (detail.empty() ? "" : " " + detail));
      });
  loading = false;
  server.ready();
  announce(server, options, capabilities.description, json);
  try {
    target->run(queue);
  } catch (const std::exception& e) {
    queue.fail(e.what());
    server.stop();
    throw;
  }
  server.stop();
  target->close();
}

void add_engine_options(CLI::App* verb, profiles::Profile& profile) {
  profiles::EngineSection& engine = profile.engine;
  verb->add_option("--checkpoint", profile.checkpoint, "Checkpoint folder");
  verb->add_option("--context", engine.context_length, "Tokens of prompt and answer together")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  verb->add_option("--sequences", engine.sequences, "Answers at a time, each with its own context")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--kv", engine.kv_dtype, "KV rows: fp8 (the reference) or bf16")
      ->check(CLI::IsMember({"fp8", "bf16"}))
      ->capture_default_str();
  verb->add_option("--index", engine.index_dtype, "Indexer keys: fp4 (the reference) or bf16")
      ->check(CLI::IsMember({"fp4", "bf16"}))
      ->capture_default_str();
  verb->add_option("--device", engine.device, "cpu or cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  verb->add_option("--residency", engine.residency,
                   "Where the GPU's weights live: device, managed (shared memory), or mapped (a "
                   "file in the page cache)")
      ->check(CLI::IsMember({"device", "managed", "mapped"}))
      ->capture_default_str();
  verb->add_option("--chunk", engine.prefill_chunk, "Tokens computed at once in prefill")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--draft-tokens", engine.draft_tokens,
                   "Tokens guessed beside each drawn one; changes the speed, not the answer")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  verb->add_option("--threads", engine.threads, "CPU threads; 0 = all")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  verb->add_option("--target", profile.target,
                   "Who answers: engine, null (nobody, at once) or scripted (a test's --script)")
      ->check(CLI::IsMember({"engine", "null", "scripted"}))
      ->capture_default_str();
  verb->add_option("--script", profile.script, "File of the scripted target (docs/suites.md)");
}

}  // namespace

void add_serve(CLI::App& app, Common& common) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* verb = app.add_subcommand("serve", "Put a checkpoint behind the OpenAI protocol");
  verb->footer(
      "Chat completions, completions, models, tokenize, health and metrics: docs/serve.md.\n"
      "Examples:\n"
      "  ds4-sweep serve --checkpoint checkpoints/tiny\n"
      "  ds4-sweep serve --checkpoint DIR --device cuda --context 131072 --sequences 2 "
      "--draft-tokens 2\n"
      "  DS4_API_KEY=... ds4-sweep serve --checkpoint DIR --host 0.0.0.0 --api-key-env "
      "DS4_API_KEY\n"
      "  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"What is 12 + 30?\"}]}'");
  add_engine_options(verb, options->profile);
  runners::serve::Settings& settings = options->settings;
  verb->add_option("--host", settings.host, "Address to listen on")->capture_default_str();
  verb->add_option("--port", settings.port, "Port to listen on; 0 = any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  verb->add_option("--api-key-env", options->api_key_env,
                   "Variable with the key that clients must send");
  verb->add_flag("--no-key", settings.open,
                 "Allow an address that other machines reach without a key");
  verb->add_option("--served-model-name", settings.model,
                   "Name of the model for clients (default: the checkpoint's folder)");
  verb->add_flag("--thinking", options->thinking, "Think where a request does not say");
  verb->add_option("--queue", settings.most_waiting,
                   "Requests that may wait; beyond them clients are told to come back (429)")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  verb->add_option("--max-body", options->most_body, "Largest request")->capture_default_str();
  verb->add_flag("--log-text", settings.log_text,
                 "Write prompts and answers to the log; otherwise no text of either is");
  verb->add_flag("-q,--quiet", settings.quiet, "No log");
  verb->add_flag("--json", common.json, "Say that the server is ready as one line of JSON");
  verb->callback([options, &common] { run_serve(*options, common.json); });
}

}  // namespace ds4::cli
