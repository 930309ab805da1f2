// A server for tests of the target `managed`: fake_server BEHAVIOUR PORT PIDS. It speaks the OpenAI
// protocol at PORT and misbehaves as it is told; every process of it writes its number to PIDS.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/chat_server.h"

using namespace ds4::test_support;

namespace {

// Longer than any test waits.
void sleep_long() {
  std::this_thread::sleep_for(std::chrono::seconds(60));
}

void write_pid(const char* file) {
  const int fd = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ::dprintf(fd, "%d\n", ::getpid());
  ::close(fd);
}

void say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

// 1.5 GiB in five seconds, and keeps it.
void take_memory() {
  constexpr size_t kPiece = size_t{30} << 20;
  std::vector<std::unique_ptr<char[]>> pieces;
  for (int i = 0; i < 50; ++i) {
    pieces.push_back(std::make_unique<char[]>(kPiece));
    for (size_t at = 0; at < kPiece; at += 4096) {
      static_cast<volatile char*>(pieces.back().get())[at] = 1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  sleep_long();
}

// Two processes that outlive the server: one in its group, one in a session of its own.
void leave(const char* pids) {
  for (const bool away : {false, true}) {
    if (::fork() != 0) continue;
    if (away) ::setsid();
    write_pid(pids);
    sleep_long();
    std::_Exit(0);
  }
}

// A question of a suite, none of those that find out what a server can.
bool of_a_suite(const HttpRequest& request) {
  return request.body.find("capital of France?") != std::string::npos;
}

ChatPlay play_of(const std::string& behaviour) {
  ChatPlay play;
  if (const char* key = std::getenv("FAKE_SERVER_KEY")) {
    play.key = key;
    say(("my key is " + play.key).c_str());
  }
  play.any = [behaviour](const HttpRequest& request, HttpConnection& connection) {
    const bool models = request.path == "/v1/models", health = request.path == "/health";
    const bool chat = request.path == "/v1/chat/completions";
    if (behaviour == "hangs-at-health" && health) {
      connection.wait(60);
    } else if (behaviour == "lists-nothing" && models) {
      connection.reply(200, "application/json", R"({"data": []})");
    } else if (behaviour == "refuses" && chat) {
      connection.reply(500, "application/json", R"({"error": {"message": "no kernel"}})");
    } else if (behaviour == "dies-answering" && chat && of_a_suite(request)) {
      connection.begin("text/event-stream");
      connection.chunk(ChatServer::event("The capital"));
      connection.wait(0.3);
      std::_Exit(9);
    } else if (behaviour == "dies-reading" && chat && of_a_suite(request)) {
      connection.wait(0.1);
      std::_Exit(9);
    } else if (behaviour == "never-answers" && chat && of_a_suite(request)) {
      connection.wait(60);
    } else if (request.path == "/metrics") {
      connection.reply(200, "text/plain",
                       "# TYPE vllm:num_requests_running gauge\n"
                       "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 0.0\n"
                       "vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\n");
    } else {
      return false;
    }
    return true;
  };
  return play;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string behaviour = argv[1];
  write_pid(argv[3]);
  say("Model loading took 96.66 GiB memory and 204.20 seconds");
  if (behaviour == "lacks-weights") {
    say("no such file: weights");
    return 3;
  }
  if (behaviour == "lacks-memory") {
    say("torch.OutOfMemoryError: CUDA out of memory.");
    return 1;
  }
  if (behaviour == "lacks-memory-for-graphs") {
    say("GPU KV cache size: 537,516 tokens");
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));
    say("torch.OutOfMemoryError: CUDA out of memory.");
    return 1;
  }
  if (behaviour == "never-listens") sleep_long();
  if (behaviour == "takes-memory") take_memory();
  if (behaviour == "falls-back") say("packed KV refused: falling back to dense rows");
  if (behaviour == "is-deaf") std::signal(SIGTERM, SIG_IGN);
  if (behaviour == "leaves") leave(argv[3]);
  const ChatServer server(play_of(behaviour), std::atoi(argv[2]));
  sleep_long();
  return 0;
}
