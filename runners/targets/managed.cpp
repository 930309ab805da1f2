// A server that is started here, watched, asked as the target `http` asks, and stopped: what it
// prints and publishes becomes samples, and its end an outcome.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "profiles/exchange/command.h"
#include "profiles/schema/server_address.h"
#include "runners/managed/ladder.h"
#include "runners/managed/metrics_poll.h"
#include "runners/managed/output.h"
#include "runners/managed/port.h"
#include "runners/managed/process.h"
#include "runners/openai/json.h"
#include "runners/targets/registry.h"
#include "runners/targets/server_failure.h"

namespace ds4::runners {
namespace {

constexpr double kDying_s = 2;  // a broken connection may be heard before the death
constexpr double kMemoryLook_s = 0.1;
constexpr double kMemoryStill_s = 3;
constexpr int64_t kMemoryGrowth = int64_t{64} << 20;
constexpr int64_t kMemoryNoise = int64_t{1} << 30;  // that others take meanwhile

// Hands out no more requests once the server has ended, and remembers where it was.
class WatchedWork final : public Work {
 public:
  WatchedWork(Work& work, managed::ServerProcess& process) : work_(work), process_(process) {}

  std::optional<Item> next(bool wait) override {
    if (dead()) return std::nullopt;
    std::optional<Item> item = work_.next(wait);
    if (item) answering_[item->id] = false;
    return item;
  }
  double due_in() const override { return work_.due_in(); }
  bool progress(int64_t id, int64_t prompt_done, int64_t completion_done) override {
    if (completion_done > 0) answering_[id] = true;
    return work_.progress(id, prompt_done, completion_done);
  }
  void text(int64_t id, const Pieces& pieces) override { work_.text(id, pieces); }
  void done(int64_t id, Response response) override {
    const bool failed = !response.error.empty();
    if (failed && phase_.empty() && dies()) phase_ = answering_[id] ? "decode" : "prefill";
    answering_.erase(id);
    work_.done(id, std::move(response));
  }

  /// In which phase it died; "" between requests.
  const std::string& phase() const { return phase_; }

 private:
  bool dead() { return process_.ended().has_value(); }

  // A request that failed may be the first that is heard of it.
  bool dies() {
    const double begun = monotonic_seconds();
    while (!dead() && monotonic_seconds() - begun < kDying_s) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return dead();
  }

  Work& work_;
  managed::ServerProcess& process_;
  std::map<int64_t, bool> answering_;
  std::string phase_;
};

class ManagedTarget final : public Target {
 public:
  explicit ManagedTarget(const profiles::Profile& profile) : profile_(profile) {}

  Capabilities open(const OnPhase& on_phase) override {
    began_s_ = monotonic_seconds();
    const std::string key = key_of(profile_.server.api_key_env);
    choose_place();
    const profiles::ServerAddress address = profiles::parse_server_address(profile_.server.url);
    const std::vector<std::string> command = command_at(managed::host_port_of(address.origin), key);
    on_phase("load", "starting " + command[0]);
    available_before_ = probes::read_machine_memory().available_bytes;
    process_ = std::make_unique<managed::ServerProcess>(
        managed::ServerStart{command, profile_.launch.env, profile_.launch.folder});
    output_ = std::make_unique<managed::ServerOutput>(
        process_->output(),
        managed::ServerOutput::Keep{profile_.launch.log, stderr, key, began_s_});
    managed::climb(
        {*process_, *output_, address, profile_.server, profile_.launch.limits, key, began_s_},
        on_phase, samples_);
    Capabilities can = ask_around(on_phase);
    poll_ = std::make_unique<managed::MetricsPoll>(address.origin, address.root + "/metrics", key,
                                                   profile_.launch.metrics_interval_s, began_s_);
    auto findings = nlohmann::json::parse(can.findings);
    findings["started"] = {{"server", profile_.launch.server}, {"command", command}};
    can.findings = openai::dump_json(findings);
    can.description = profile_.launch.server + " started here: " + can.description;
    return can;
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return http_->count_tokens(conversation);
  }

  int64_t measure_tokens(const Conversation& conversation) override {
    return http_->measure_tokens(conversation);
  }

  void run(Work& work) override {
    WatchedWork watched(work, *process_);
    http_->run(watched);
    if (process_->ended()) {
      const bool between = watched.phase().empty();
      managed::throw_ended(*process_, *output_,
                           between ? "between requests" : "with a request in work",
                           between ? "idle" : watched.phase());
    }
  }

  std::vector<probes::Sample> observe() override {
    const auto add = [this](std::vector<probes::Sample> more) {
      samples_.insert(samples_.end(), more.begin(), more.end());
    };
    if (output_) add(output_->take_samples());
    if (poll_) add(poll_->take());
    if (http_) add(http_->observe());
    return std::exchange(samples_, {});
  }

  std::vector<probes::Sample> last_samples() override { return observe(); }

  void close() override {
    if (!process_) return;
    if (poll_) {
      const auto polled = poll_->take();
      samples_.insert(samples_.end(), polled.begin(), polled.end());
      poll_.reset();
    }
    if (http_) http_->close();
    const double begun = monotonic_seconds();
    if (!process_->stop(profile_.launch.limits.stop_s)) {
      std::fprintf(stderr, "the server had to be killed: it did not end within %s of TERM\n",
                   format_seconds(profile_.launch.limits.stop_s).c_str());
    }
    output_->finish();
    note("server_stop_time", monotonic_seconds() - begun);
    wait_for_memory();
  }

 private:
  void note(const char* metric, double value) {
    samples_.push_back({metric, value, monotonic_seconds() - began_s_, "teardown"});
  }

  static std::string key_of(const std::string& variable) {
    const char* key = variable.empty() ? nullptr : std::getenv(variable.c_str());
    return key ? key : "";
  }

  // Where it is to listen: as the profile says, else at a port that is free. Throws Error(kMachine)
  // when somebody is there already, who would be measured in its place.
  void choose_place() {
    if (profile_.server.url.empty()) {
      profile_.server.url = "http://127.0.0.1:" + managed::free_port() + "/v1";
      return;
    }
    const std::string origin = profiles::parse_server_address(profile_.server.url).origin;
    if (!managed::somebody_listens(managed::host_port_of(origin), 1)) return;
    throw Error(ErrorCode::kMachine, "somebody listens at " + origin + " already",
                "End that server, or leave `server.url` out: then a free port is taken.");
  }

  std::vector<std::string> command_at(const managed::HostPort& at, const std::string& key) const {
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    std::vector<std::string> words = profiles::managed_command(profile_, {at.host, at.port, self});
    for (const std::string& word : words) {
      if (key.empty() || word.find(key) == word.npos) continue;
      throw Error(ErrorCode::kProfile,
                  profile_.path.string() +
                      ": the key of `server.api_key_env` stands in the "
                      "server's command, where everybody sees it",
                  "Let the server read it from its environment.");
    }
    return words;
  }

  Capabilities ask_around(const OnPhase& on_phase) {
    http_ = make_http_target(profile_);
    try {
      return http_->open(on_phase);
    } catch (const Error& error) {
      // It has answered once: what it does now is its own doing.
      if (process_->ended()) {
        managed::throw_ended(*process_, *output_, "while it was asked what it can do");
      }
      if (error.code() != ErrorCode::kMachine) throw;
      throw ServerFailure(ServerFailure::Kind::kNotServing, error.what());
    }
  }

  // What it had must come back, or the next server has less. When nothing more comes back, others
  // have it.
  void wait_for_memory() {
    const double begun = monotonic_seconds();
    double grew = begun;
    int64_t most = 0, missing = 0;
    while (true) {
      const int64_t available = probes::read_machine_memory().available_bytes;
      const double now = monotonic_seconds();
      missing = available_before_ - available;
      if (missing < kMemoryNoise) break;
      if (available > most + kMemoryGrowth) {
        most = available;
        grew = now;
      }
      if (now - grew > kMemoryStill_s || now - begun > profile_.launch.limits.stop_s) {
        std::fprintf(stderr, "%s of memory did not come back in %s after the server's end\n",
                     format_bytes(missing).c_str(), format_seconds(now - begun).c_str());
        break;
      }
      std::this_thread::sleep_for(std::chrono::duration<double>(kMemoryLook_s));
    }
    note("server_memory_left", static_cast<double>(std::max<int64_t>(0, missing)));
  }

  profiles::Profile profile_;
  double began_s_ = 0;
  int64_t available_before_ = 0;
  std::vector<probes::Sample> samples_;
  // In the order of their making: whoever reads from the server ends before it.
  std::unique_ptr<managed::ServerProcess> process_;
  std::unique_ptr<managed::ServerOutput> output_;
  std::unique_ptr<Target> http_;
  std::unique_ptr<managed::MetricsPoll> poll_;
};

}  // namespace

std::unique_ptr<Target> make_managed_target(const profiles::Profile& profile) {
  return std::make_unique<ManagedTarget>(profile);
}

}  // namespace ds4::runners
