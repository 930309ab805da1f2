#include "runners/guard/guard_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/guard/watch.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;

constexpr double kAlive_s = 1;

// Lines from a descriptor, as they come.
class Lines {
 public:
  explicit Lines(int fd) : fd_(fd) {}

  int fd() const { return fd_; }
  bool at_end() const { return at_end_; }
  /// Takes in what there is; waits for the first byte.
  void fill() {
    std::array<char, 4096> bytes;
    const ssize_t n = ::read(fd_, bytes.data(), bytes.size());
    if (n > 0) text_.append(bytes.data(), static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) at_end_ = true;
  }
  std::optional<std::string> next() {
    const size_t end = text_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    return line;
  }

 private:
  int fd_;
  std::string text_;
  bool at_end_ = false;
};

class GuardProcess {
 public:
  GuardProcess(int in, std::FILE* out) : in_(in), out_(out) {}

  int run() {
    ::signal(SIGPIPE, SIG_IGN);  // the supervisor's end is told by the input
    std::optional<std::string> setup;
    while (!(setup = in_.next()) && !in_.at_end()) in_.fill();
    Watch watch(setup_from_json(setup.value_or("")));
    if (const auto refusal = watch.refusal()) {
      send({{"type", "refused"}, {"verdict", json::parse(to_json(*refusal))}});
      return kRefused;
    }
    send({{"type", "armed"}, {"available", watch.newest().available}, {"notes", watch.notes()}});
    while (!over_) step(watch);
    return guard_exit_code(watch.verdict());
  }

  void send(const json& message) {
    const std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    std::fwrite(line.data(), 1, line.size(), out_);
    std::fflush(out_);
  }

 private:
  void step(Watch& watch) {
    std::array<pollfd, 2> fds{
        {{in_.fd(), POLLIN, 0}, {told_ended_ ? -1 : watch.target_fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), static_cast<int>(std::ceil(watch.due_in_s() * 1000)));
    if (watch.due_in_s() <= 0) watch.tick();
    if (!told_ended_ && watch.target_ended()) tell_ended(watch);
    if (fds[0].revents != 0) in_.fill();
    while (const auto line = in_.next()) obey(*line, watch);
    if (in_.at_end() && !over_) {
      if (ours_) watch.end_target(Rule::kSupervisorGone);
      over_ = true;
    }
    if (monotonic_seconds() - alive_s_ >= kAlive_s) {
      alive_s_ = monotonic_seconds();
      const Sample& now = watch.newest();
      send({{"type", "alive"},
            {"available", now.available},
            {"gpu_target", now.gpu_target},
            {"gpu_free", now.gpu_free}});
    }
  }

  void obey(const std::string& line, Watch& watch) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "watch") {
      pid_t pid = 0;
      uint64_t start_ticks = 0;
      if (words >> pid >> start_ticks) {
        watch.guard(std::make_unique<Group>(pid, start_ticks));
      } else {
        ours_ = false;
        watch.guard(open_target(line.substr(line.find(' ') + 1)));
      }
      send({{"type", "watching"}});
    } else if (word == "phase") {
      words >> word;
      if (const auto phase = phase_of(word)) watch.set_phase(*phase);
    } else if (word == "end") {
      over_ = true;
      if (!told_ended_) {
        watch.target_ended();
        tell_ended(watch);
      }
    }
  }

  void tell_ended(const Watch& watch) {
    const auto verdict = watch.verdict();
    send({{"type", "ended"},
          {"verdict", verdict ? json::parse(to_json(*verdict)) : json()},
          {"most_used", watch.most_used_bytes()}});
    told_ended_ = true;
  }

  Lines in_;
  std::FILE* out_;
  double alive_s_ = 0;
  bool told_ended_ = false, over_ = false;
  bool ours_ = true;  // the target is the supervisor's: it must not outlive it
};

}  // namespace

int guard_exit_code(const std::optional<Verdict>& verdict) {
  if (!verdict) return kNothingFired;
  if (verdict->action == Action::kRefused) return kRefused;
  if (verdict->rule == Rule::kSupervisorGone) return kKilledAlone;
  if (verdict->rule == Rule::kBlind) return kKilledBlind;
  return verdict->action == Action::kSoft ? kEndedSoft : kKilled;
}

int run_guard_process(int in, std::FILE* out) {
  GuardProcess process(in, out);
  try {
    return process.run();
  } catch (const Error& e) {
    process.send({{"type", "error"}, {"what", e.what()}, {"hint", e.hint()}});
    return ds4::exit_code(e.code());
  }
}

}  // namespace ds4::runners::guard
