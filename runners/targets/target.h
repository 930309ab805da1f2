// What answers: the embedded engine, a server, a script. One small interface, one conformance test.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/chat.h"
#include "probes/sample.h"
#include "suites/suite.h"

namespace ds4::runners {

/// A piece of the answer as it arrived. Times are seconds since the target took the request, on the
/// monotonic clock.
struct TokenEvent {
  double time_s = 0;
  int n_tokens = 1;  // a server may deliver several tokens at once
};

struct Request {
  Conversation conversation;
  std::optional<suites::RawPrompt> raw = {};  // set: asked instead of the conversation
  suites::GenerationLimits limits = {};
  std::string name = {};  // of the case, "suite/id"; "" = nobody's
};

/// A token of a prompt or an answer and what the model thought of it.
struct TokenLogprob {
  struct Likely {
    int32_t token = -1;  // -1 = the target does not tell ids
    std::string text;    // its bytes; they may be part of a character
    double logprob = 0;
  };
  int32_t token = -1;
  std::string text;
  std::optional<double> logprob;  // none for the first token of a prompt
  std::vector<Likely> top = {};   // falling
};

/// What was added to an answer, in whole UTF-8 characters, as Answer has it apart.
struct Pieces {
  std::string reasoning, content;
  int64_t tokens = 0;                       // of the answer, these included
  std::vector<TokenLogprob> logprobs = {};  // of the tokens since the last pieces, where wanted

  /// Nothing to tell: tokens without text, whose log-probabilities nobody wanted.
  bool empty() const { return reasoning.empty() && content.empty() && logprobs.empty(); }
};

/// Why there is no answer.
enum class Failure {
  kNone,
  kRefused,  // the request was refused or failed: 4xx, 5xx
  kBroken,   // the answer stopped without its end mark or its counts
  kLate,     // not done in time
};

/// Everything a target can say about one answer. `error` set means there is none.
struct Response {
  suites::Answer answer;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;
  double first_token_s = -1;  // -1 = none came
  double end_s = 0;
  std::vector<TokenEvent> events;
  std::vector<TokenLogprob> prompt_logprobs, logprobs;  // as GenerationLimits::logprobs wants
  std::vector<probes::Sample> samples;                  // what else is known of this answer
  std::string error;
  Failure failure = Failure::kNone;  // with `error`
  std::string doubt = {};  // why the counts that were stated cannot be true; "" = they can
};

/// What a target can do (suites::Need says what each means).
struct Capabilities {
  bool exact_token_counts = false;
  bool tools = false;
  bool thinking = false;
  bool no_thinking = true;       // answers without it
  bool raw_prompts = false;      // takes Request::raw
  bool logprobs = false;         // WantedLogprobs::answer
  bool prompt_logprobs = false;  // WantedLogprobs::prompt
  bool remote = false;           // queues by itself, so that a request it gets late is our delay
  std::string description;       // one line for the run row, e.g. "embedded engine, cpu, 6 layers"
  std::string findings = {};     // how that was found out, a JSON object; "" = it is simply known
};

/// Why these capabilities do not do for these needs ("it has no tools, ..."); "" when they do.
std::string missing_of(const Capabilities& capabilities, const std::vector<suites::Need>& needs);

/// The capabilities as a JSON object, with description and findings.
std::string to_json(const Capabilities& capabilities);

/// What a target is given to do. It calls back on the thread that called run().
class Work {
 public:
  virtual ~Work() = default;
  struct Item {
    int64_t id = 0;
    Request request;
  };
  /// The next request. With `wait` it is waited for, and nothing means that there are no more;
  /// without, nothing means that there is none now. A target waits when it has nothing in hand.
  virtual std::optional<Item> next(bool wait) = 0;
  /// Seconds until next() may have a request, for a target that waits for something else meanwhile;
  /// infinite when nothing says when, or only behind an answer.
  virtual double due_in() const { return std::numeric_limits<double>::infinity(); }
  /// Prompt and completion tokens done so far. False: the request is to be cancelled, its response
  /// then has finish_reason "cancelled".
  virtual bool progress(int64_t id, int64_t prompt_done, int64_t completion_done) = 0;
  /// The answer as it grows, for who passes it on. All pieces together are the answer's reasoning
  /// and content; tool calls come with done() only.
  virtual void text(int64_t /*id*/, const Pieces& /*pieces*/) {}
  virtual void done(int64_t id, Response response) = 0;
};

class Target {
 public:
  virtual ~Target() = default;
  /// Receives phases ("load", "capture") and how far one is, as people read it.
  using OnPhase = std::function<void(const std::string& phase, const std::string& detail)>;
  /// Loads or connects. Throws ds4::Error.
  virtual Capabilities open(const OnPhase& on_phase) = 0;
  virtual int64_t count_tokens(const Conversation& conversation) = 0;
  /// What it states for a conversation as long, found by having it read one; -1 = it states
  /// nothing. For targets that only estimate.
  virtual int64_t measure_tokens(const Conversation& /*conversation*/) { return -1; }
  /// Answers requests, as many at a time as it is set to, until there are no more.
  virtual void run(Work& work) = 0;
  /// What memory it will take, as far as it can tell before it takes any: asked when open() tells
  /// its first phase, so that it is known of a target that does not live to be observed.
  virtual std::vector<probes::Sample> plan() { return {}; }
  /// Memory and other readings since the last call.
  virtual std::vector<probes::Sample> observe() = 0;
  virtual void close() = 0;
  /// What is known besides: asked behind close(), and behind an open() or run() that threw.
  virtual std::vector<probes::Sample> last_samples() { return {}; }
};

/// The base of targets that answer one request after the other.
class OneAtATime : public Target {
 public:
  void run(Work& work) final;

 private:
  virtual Response submit(Work& work, const Work::Item& item) = 0;
};

}  // namespace ds4::runners
