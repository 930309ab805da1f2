#include "runners/managed/ladder.h"

#include <algorithm>
#include <functional>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "runners/managed/port.h"
#include "runners/openai/piece.h"
#include "runners/targets/http_exchange.h"
#include "runners/targets/server_failure.h"

namespace ds4::runners::managed {
namespace {

constexpr double kLook_s = 0.1;       // between tries of a rung at first
constexpr double kLongestLook_s = 1;  // and later
constexpr double kShowEvery_s = 1;
constexpr double kOneTry_s = 5;  // a request that only asks whether
constexpr size_t kLastLines = 4;
constexpr int64_t kFewTokens = 8;

std::string last_lines(ServerOutput& output) {
  const std::string tail = output.tail(kLastLines);
  return tail.empty() ? "; it printed nothing" : "\n" + tail;
}

// No longer than a rung may take.
double one_try(const profiles::LaunchLimits& limits) {
  return std::min({kOneTry_s, limits.health_s, limits.model_s});
}

class Ladder {
 public:
  Ladder(const Climb& climb, const Target::OnPhase& on_phase, std::vector<probes::Sample>& samples)
      : climb_(climb),
        on_phase_(on_phase),
        samples_(samples),
        quick_(climb.address.origin, climb.key, {kOneTry_s, 0, 0, one_try(climb.limits)}),
        patient_(climb.address.origin, climb.key, {kOneTry_s, 0, 0, climb.limits.answer_s}) {}

  void run() {
    reached("ready_process_time");
    rung("its port was open", "ready_port_time", climb_.limits.port_s, ServerFailure::Kind::kDeaf,
         [this] { return listens(); });
    rung("/health was 200", "ready_health_time", climb_.limits.health_s, ServerFailure::Kind::kDeaf,
         [this] { return healthy(); });
    rung("it listed its model", "ready_model_time", climb_.limits.model_s,
         ServerFailure::Kind::kNotServing, [this] { return lists_model(); });
    rung("its first answer", "ready_answer_time", climb_.limits.answer_s,
         ServerFailure::Kind::kNotServing, [this] { return answers(); });
  }

 private:
  void reached(const char* metric) {
    const double now = monotonic_seconds() - climb_.began_s;
    samples_.push_back({metric, now, now, "load"});
  }

  void rung(const char* what, const char* metric, double limit_s, ServerFailure::Kind kind,
            const std::function<bool()>& try_it) {
    const double begun = monotonic_seconds();
    double shown = 0, look = kLook_s;
    seen_.clear();
    while (true) {
      show(what, shown);
      const bool there = try_it();
      // An answer of somebody else at that port is none of a dead server's.
      if (climb_.process.ended()) {
        throw_ended(climb_.process, climb_.output, std::string("before ") + what);
      }
      if (there) return reached(metric);
      if (monotonic_seconds() - begun > limit_s) {
        throw ServerFailure(
            kind, "the server runs, but " + format_seconds(limit_s) + " went by before " + what +
                      (seen_.empty() ? "" : ": " + seen_) + last_lines(climb_.output));
      }
      std::this_thread::sleep_for(std::chrono::duration<double>(look));
      look = std::min(kLongestLook_s, look * 1.5);
    }
  }

  void show(const char* what, double& shown) {
    const double now = monotonic_seconds();
    if (now - shown < kShowEvery_s) return;
    shown = now;
    const std::string phase = climb_.output.phase();
    on_phase_(
        phase.empty() ? "load" : phase,
        "waiting for the server, " + format_seconds(now - climb_.began_s) + ", until " + what);
  }

  bool listens() { return somebody_listens(host_port_of(climb_.address.origin), kOneTry_s); }

  // A server without the page is as healthy as it says: the next rungs tell.
  bool healthy() {
    const http::Reply reply = quick_.send({climb_.address.root + "/health", ""});
    note(reply);
    return (reply.status >= 200 && reply.status < 300) || reply.status == 404;
  }

  bool lists_model() {
    const http::Reply reply = quick_.send({climb_.address.base + "/models", ""});
    note(reply);
    if (reply.status != 200) return false;
    const std::vector<openai::Model> models = openai::read_models(reply.body);
    const std::string& wanted = climb_.server.model;
    std::string list;
    for (const openai::Model& model : models) {
      list += (list.empty() ? "" : ", ") + model.id;
      if (model.id == wanted || (wanted.empty() && models.size() == 1)) {
        model_ = model.id;
        return true;
      }
    }
    seen_ = "GET models lists " + (list.empty() ? "nothing" : list) +
            (wanted.empty() ? "" : ", not " + wanted);
    return false;
  }

  bool answers() {
    ServerHabits habits;
    habits.model = model_;
    habits.chat = climb_.server.form == "chat";
    habits.streams = false;
    Request request;
    Message message;
    message.role = "user";
    message.content = "Say OK.";
    request.conversation.messages.push_back(std::move(message));
    request.limits.max_tokens = kFewTokens;
    const Exchange exchange = ask(patient_, climb_.address, body_of(request, habits));
    const Judged judged = judge(exchange, habits);
    seen_ = judged.why;
    return judged.failure == Failure::kNone;
  }

  void note(const http::Reply& reply) {
    seen_ = reply.status != 0 ? "HTTP " + std::to_string(reply.status) : reply.what;
  }

  const Climb& climb_;
  const Target::OnPhase& on_phase_;
  std::vector<probes::Sample>& samples_;
  http::Client quick_, patient_;
  std::string model_;
  std::string seen_;  // what the last try of this rung met
};

}  // namespace

void climb(const Climb& climb, const Target::OnPhase& on_phase,
           std::vector<probes::Sample>& samples) {
  Ladder(climb, on_phase, samples).run();
}

void throw_ended(ServerProcess& process, ServerOutput& output, const std::string& when,
                 const std::string& phase) {
  output.finish();  // its last words are why
  const ServerEnd& end = *process.ended();
  ServerFailure failure(ServerFailure::Kind::kEnded,
                        "the server ended with " + end.text() + " " + when + last_lines(output),
                        end.code, end.signal);
  failure.phase = phase;
  throw failure;
}

}  // namespace ds4::runners::managed
