// A `ds4-sweep serve` of a test's own, and curl to speak with it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/files.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {

struct HttpReply {
  int status = 0;  // 0 = there was none
  std::string head, body;
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

class Served {
 public:
  /// Starts the server on a port of its own and waits until it says that it is ready.
  explicit Served(std::vector<std::string> flags) {
    std::string line = std::string("exec ") + DS4_SWEEP_BINARY + " serve --json --port 0";
    for (const std::string& flag : flags) line += " '" + flag + "'";
    pid_ = start_command({"/bin/sh", "-c", line + " >" + out() + " 2>" + err()});
    for (int i = 0; i < 1200 && url_.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (!std::filesystem::exists(out())) continue;
      const auto ready = nlohmann::json::parse(read_file(out()), nullptr, false);
      if (ready.is_object()) url_ = ready["url"];
    }
    EXPECT_NE(url_, "") << log();
  }
  ~Served() { stop(SIGKILL); }

  static std::vector<std::string> tiny(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--checkpoint", source_dir() / "checkpoints/tiny", "--context",
                               "2048", "--threads", "1"});
    return more;
  }

  /// Exit code, after that signal.
  int stop(int signal) {
    if (pid_ < 0) return -1;
    ::kill(pid_, signal);
    const int code = wait_command(pid_);
    pid_ = -1;
    return code;
  }

  std::string log() const { return std::filesystem::exists(err()) ? read_file(err()) : ""; }
  std::string url() const { return url_; }

  HttpReply get(const std::string& path, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"/usr/bin/curl", "-sS", "-i", url_ + path});
    return reply_of(run_command(flags).out);
  }
  HttpReply post(const std::string& path, const nlohmann::json& body,
                 std::vector<std::string> flags = {},
                 const std::string& type = "application/json") const {
    return post_bytes(path, body.dump(), std::move(flags), type);
  }
  HttpReply post_bytes(const std::string& path, const std::string& body,
                       std::vector<std::string> flags = {},
                       const std::string& type = "application/json") const {
    flags.insert(flags.begin(), {"/usr/bin/curl", "-sS", "-i", "-N", "-H", "Expect:", "-H",
                                 "Content-Type: " + type, "--data-binary", "@-", url_ + path});
    return reply_of(run_command(flags, body).out);
  }
  /// The value of a metric's first line; -1 when there is none.
  double metric(const std::string& name) const {
    const std::string text = get("/metrics").body;
    const size_t at = text.find("\n" + name + "{");
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(text.find("} ", at) + 2));
  }
  /// Waits until it has that value, a few seconds at most.
  bool becomes(const std::string& name, double value) const {
    for (int i = 0; i < 200; ++i) {
      if (metric(name) == value) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

 private:
  static HttpReply reply_of(const std::string& bytes) {
    HttpReply reply;
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return reply;
    reply.head = bytes.substr(0, end);
    reply.body = bytes.substr(end + 4);
    reply.status = std::stoi(reply.head.substr(reply.head.find(' ') + 1));
    return reply;
  }
  std::string out() const { return folder_ / "out"; }
  std::string err() const { return folder_ / "err"; }

  TemporaryFolder folder_;
  int pid_ = -1;
  std::string url_;
};

/// {"messages": [one of the user], ...}, greedy.
inline nlohmann::json asking(const std::string& text, const nlohmann::json& more = {}) {
  nlohmann::json body = {{"messages", {{{"role", "user"}, {"content", text}}}},
                         {"temperature", 0},
                         {"max_tokens", 64}};
  if (!more.is_null()) body.update(more);
  return body;
}

/// The events of a stream without their end mark.
inline std::vector<nlohmann::json> events_of(const std::string& stream) {
  std::vector<nlohmann::json> events;
  for (size_t at = stream.find("data: "); at != std::string::npos;
       at = stream.find("\ndata: ", at), at += at != std::string::npos) {
    const std::string data = stream.substr(at + 6, stream.find('\n', at) - at - 6);
    if (data != "[DONE]") events.push_back(nlohmann::json::parse(data));
  }
  return events;
}

}  // namespace ds4::test_support
