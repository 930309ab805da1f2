#include "profiles/schema/server_section.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "profiles/schema/server_address.h"

namespace ds4::profiles {
namespace {

using nlohmann::json;
using ServerKey = Key<ServerSection>;

constexpr int64_t kMostConcurrency = 1024;

std::string valid_url(const TomlSource& source, const toml::node& node) {
  std::string url = source.string(node, "server.url");
  try {
    parse_server_address(url);
  } catch (const Error& error) {
    source.fail(node, error.what(), error.hint());
  }
  return url;
}

// The value is never shown: a key may have been written there by mistake.
std::string variable_name(const TomlSource& source, const toml::node& node) {
  std::string name = source.string(node, "server.api_key_env");
  const bool fits = std::all_of(name.begin(), name.end(),
                                [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  if (name.empty() || !fits || std::isdigit(static_cast<unsigned char>(name.front()))) {
    source.fail(node, "`server.api_key_env` is no name of an environment variable",
                "It names the variable that holds the key, such as \"OPENAI_API_KEY\"; the key "
                "itself stands in no profile.");
  }
  return name;
}

const ServerKey kServerKeys[] = {
    {"url",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.url = valid_url(source, node);
     },
     [](const ServerSection& server) { return toml_text(server.url); }},
    {"model",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.model = source.string(node, "server.model");
     },
     [](const ServerSection& server) { return toml_text(server.model); }},
    {"api_key_env",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.api_key_env = variable_name(source, node);
     },
     [](const ServerSection& server) { return toml_text(server.api_key_env); }},
    {"form",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       static const std::array<std::string, 2> kForms = {"chat", "completions"};
       server.form = source.one_of(node, "server.form", kForms);
     },
     [](const ServerSection& server) { return toml_text(server.form); }},
    {"thinking",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       static const std::array<std::string, 7> kSwitches = {"auto",
                                                            "none",
                                                            "chat_template_kwargs.thinking",
                                                            "thinking.type",
                                                            "think",
                                                            "chat_template_kwargs.enable_thinking",
                                                            "reasoning_effort"};
       server.thinking = source.one_of(node, "server.thinking", kSwitches);
     },
     [](const ServerSection& server) { return toml_text(server.thinking); }},
    {"stream",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.stream = source.boolean(node, "server.stream");
     },
     [](const ServerSection& server) { return toml_text(server.stream); }},
    {"concurrency",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.concurrency = source.integer(node, "server.concurrency", 1, kMostConcurrency);
     },
     [](const ServerSection& server) { return toml_text(server.concurrency); }},
    {"connect_timeout",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.connect_timeout_s = source.seconds(node, "server.connect_timeout");
     },
     [](const ServerSection& server) { return toml_text(server.connect_timeout_s); }},
    {"first_byte_timeout",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.first_byte_timeout_s = source.seconds(node, "server.first_byte_timeout");
     },
     [](const ServerSection& server) { return toml_text(server.first_byte_timeout_s); }},
    {"stall_timeout",
     [](ServerSection& server, const toml::node& node, const TomlSource& source) {
       server.stall_timeout_s = source.seconds(node, "server.stall_timeout");
     },
     [](const ServerSection& server) { return toml_text(server.stall_timeout_s); }},
};

}  // namespace

std::span<const ServerKey> server_table() {
  return kServerKeys;
}

json server_to_json(const ServerSection& server) {
  return {{"url", server.url},
          {"model", server.model},
          {"api_key_env", server.api_key_env},
          {"form", server.form},
          {"thinking", server.thinking},
          {"stream", server.stream},
          {"concurrency", server.concurrency},
          {"connect_timeout_s", server.connect_timeout_s},
          {"first_byte_timeout_s", server.first_byte_timeout_s},
          {"stall_timeout_s", server.stall_timeout_s}};
}

ServerSection server_from_json(const json& j) {
  ServerSection server;
  j.at("url").get_to(server.url);
  j.at("model").get_to(server.model);
  j.at("api_key_env").get_to(server.api_key_env);
  j.at("form").get_to(server.form);
  j.at("thinking").get_to(server.thinking);
  if (j.contains("stream")) j.at("stream").get_to(server.stream);  // older cells know none
  j.at("concurrency").get_to(server.concurrency);
  j.at("connect_timeout_s").get_to(server.connect_timeout_s);
  j.at("first_byte_timeout_s").get_to(server.first_byte_timeout_s);
  j.at("stall_timeout_s").get_to(server.stall_timeout_s);
  return server;
}

json server_semantics(const ServerSection& server) {
  const ServerSection plain;
  json semantics = json::object();
  if (server.model != plain.model) semantics["model"] = server.model;
  if (server.form != plain.form) semantics["form"] = server.form;
  if (server.thinking != plain.thinking) semantics["thinking"] = server.thinking;
  if (server.stream != plain.stream) semantics["stream"] = server.stream;
  if (server.concurrency != plain.concurrency) semantics["concurrency"] = server.concurrency;
  return semantics;
}

}  // namespace ds4::profiles
