// A worker's whole run against a server of the test, in this process: what it told its supervisor.
#pragma once

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "runners/worker.h"

namespace ds4::runners {

struct WorkerRun {
  int exit_code = 0;
  std::optional<ReadyMessage> ready;
  std::vector<AttemptMessage> attempts;
  std::optional<ErrorMessage> error;
  std::string lines;  // all that was written
};

/// Runs `profile`, TOML text whose target is http at `url` unless it says more of it; of the suite
/// smoke only the case `france`.
inline WorkerRun run_against(const std::string& url, const std::string& server_keys = "",
                             const std::string& rest = "") {
  const profiles::Profile profile =
      profiles::parse_profile("p.toml", "target = \"http\"\n[server]\nurl = \"" + url + "\"\n" +
                                            server_keys + "[[suite]]\nname = \"smoke\"\n" + rest);
  Assignment assignment{profiles::make_plan(profile).cells.at(0), {}};
  for (const profiles::SuiteSection& section : profile.suites) {
    for (const auto& spec : suites::find_suite(section.name)->plan(section.parameters)) {
      if (section.name == "smoke" && spec.id.find("france") == std::string::npos) {
        assignment.done.emplace(section.name, spec.id);
      }
    }
  }
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = ::open_memstream(&text, &size);
  WorkerRun run;
  run.exit_code = run_worker(assignment, out);
  std::fclose(out);
  run.lines.assign(text, size);
  std::free(text);
  for (size_t begin = 0; begin < run.lines.size();) {
    const size_t end = run.lines.find('\n', begin);
    const std::optional<Message> message = decode(run.lines.substr(begin, end - begin));
    begin = end + 1;
    if (!message) continue;
    if (const auto* ready = std::get_if<ReadyMessage>(&*message)) run.ready = *ready;
    if (const auto* attempt = std::get_if<AttemptMessage>(&*message)) {
      run.attempts.push_back(*attempt);
    }
    if (const auto* error = std::get_if<ErrorMessage>(&*message)) run.error = *error;
  }
  return run;
}

}  // namespace ds4::runners
