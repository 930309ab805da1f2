// What a suite is: a list of cases planned from parameters, and a scorer that grades stored
// responses. A suite never learns which target answered, and scoring needs nothing but what the
// store holds.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/chat.h"

namespace ds4::suites {

using ParameterValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                                    std::vector<double>, std::vector<std::string>>;

/// Parameters of a suite: the defaults of its suite.toml overlaid by the profile.
using Parameters = std::map<std::string, ParameterValue>;

/// suite.toml, parsed by profiles/schema (profiles::suite_definition).
struct Definition {
  std::string name;
  int version = 0;                  // raised whenever scores may change
  std::string description;          // one sentence
  Parameters defaults;              // also the list of legal keys and their types
  std::vector<std::string> scores;  // names of the scores it gives; the first is the headline
};

/// With which other cases a case is asked. The cases of a group stand together in the plan and are
/// asked together; one group begins when the one before is answered.
struct Load {
  std::string group = {};  // "" = none: asked whenever the target has room
  int64_t at_once = 0;     // above 0: due as soon as fewer than so many are unanswered
  double due_s = 0;        // else: due then, since the group began, whatever is unanswered
};

/// A case before its prompt exists: cheap to list, stable to name.
struct CaseSpec {
  std::string id;                           // unique within the cell, e.g. "2048/d0.50/r1/s3"
  std::map<std::string, std::string> tags;  // report axes: length, depth, kind, ...
  uint64_t seed = 0;                        // everything random in the case derives from it
  Load load = {};
};

/// How tokens are drawn, as docs/profiles.md defines each; the defaults are greedy decoding.
struct Sampling {
  double temperature = 0;
  int64_t top_k = 0;
  double min_p = 0;
  double top_p = 1;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::vector<std::string> stop = {};
  bool operator==(const Sampling&) const = default;
};

/// Which log-probabilities are to come with an answer: natural logarithms, of the model's own
/// distribution (before temperature and everything else of Sampling).
struct WantedLogprobs {
  bool answer = false;  // of each token of the answer
  bool prompt = false;  // of each token of the prompt but the first
  int64_t top = 0;      // beside each of them: of so many of the likeliest
};

/// GenerationLimits::max_tokens: whatever the context has room for.
inline constexpr int64_t kAsManyAsFit = std::numeric_limits<int64_t>::max();

/// Draws of a case depend on (seed, sequence) and their positions, on nothing else.
struct GenerationLimits {
  int64_t max_tokens = 256;
  Sampling sampling = {};
  bool ignore_end = false;  // neither the end token nor a stop string ends the answer
  uint64_t seed = 0;
  uint64_t sequence = 0;
  WantedLogprobs logprobs = {};
};

/// A prompt that is no conversation: what the model is to go on with, as it stands. Nothing is put
/// in front; markers in the text are the model's own.
struct RawPrompt {
  std::string text;
  std::vector<int32_t> tokens = {};  // not empty: these ids instead of the text
};

/// A case ready to be sent.
struct Case {
  CaseSpec spec;
  Conversation conversation;
  std::optional<RawPrompt> raw = {};  // set: asked instead of the conversation
  GenerationLimits limits;
  std::string expected;  // JSON text, the suite's own; stored beside the prompt, read by score()
  bool cold = false;     // its times mean nothing when prompt tokens come from a cache
  /// Unguessable texts of this prompt: in the answer to another one they are a leak.
  std::vector<std::string> canaries = {};
};

/// Counts the prompt tokens a conversation will have at the target, so that long prompts can be
/// sized to the token. Targets without a tokenizer estimate; `exact` says which.
struct TokenCounter {
  std::function<int64_t(const Conversation&)> count;
  bool exact = false;
  /// What the target states for a conversation as long, at the cost of reading it; -1 = it states
  /// nothing. Empty = nobody can be asked.
  std::function<int64_t(const Conversation&)> measure = {};
};

/// What cases may need of a target beyond answering a conversation.
enum class Need {
  kThinking,        // reasoning before an answer can be had
  kNoThinking,      // and can be left out
  kTools,           // functions are offered to the model, and its calls come back as such
  kRawPrompts,      // a text in place of a conversation
  kLogprobs,        // of the answer's tokens
  kPromptLogprobs,  // of the prompt's
  kExactCounts,     // prompts can be sized to the token
};

/// What came back, as scorers see it.
struct Answer {
  std::string text;  // raw completion
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // "stop", "length", "error"
};

/// A turn of a case: an answer, and what the suite said to it (nothing, when the case ended there).
struct Turn {
  Answer answer;
  std::vector<Message> reply = {};
};

enum class Grade {
  kCorrect,
  kWrong,
  kInvalid,  // no verdict possible, e.g. cut by the token limit before an answer: not the model's
             // error
};

struct Score {
  Grade grade = Grade::kWrong;
  /// By score name, each in [0, 1]. A score that does not apply to the case is left out, and an
  /// invalid answer has none, so that neither enters an average.
  std::map<std::string, double> values;
  std::string extracted;    // what was taken from the answer
  std::string explanation;  // why, in one sentence
};

class Suite {
 public:
  virtual ~Suite() = default;
  /// As in its suite.toml, e.g. "needle".
  virtual std::string_view name() const = 0;
  /// The text of its suite.toml, embedded in the binary. Suites know no TOML: the parsed form comes
  /// from profiles::suite_definition(suite).
  virtual std::string_view toml() const = 0;
  /// The published data set it asks from (suites/common/datasets.h); empty = none.
  virtual std::string_view dataset() const { return {}; }
  /// The cases of these parameters, in running order. Throws Error(kProfile) on bad values.
  virtual std::vector<CaseSpec> plan(const Parameters& parameters) const = 0;
  /// What the target must be able to do for them: a target that cannot is not asked, and the suite
  /// is skipped with the reason. By default what the parameter `thinking` asks for.
  virtual std::vector<Need> needs(const Parameters& parameters) const;
  /// Builds the prompt of one case; deterministic in (parameters, spec, counter).
  virtual Case build(const Parameters& parameters, const CaseSpec& spec,
                     const TokenCounter& counter) const = 0;
  /// What is said to the newest answer of a case (the results of its tool calls, a further
  /// question); the target is then asked again. Nothing ends the case. A pure function of what is
  /// stored: `expected` is Case::expected, `turns` are all so far, at least one.
  virtual std::vector<Message> reply(std::string_view /*expected*/,
                                     std::span<const Turn> /*turns*/) const {
    return {};
  }
  /// Grades a stored answer, which was the only one of its case.
  virtual Score score(std::string_view expected, const Answer& answer) const = 0;
  /// Grades the stored turns of a case, at least one.
  virtual Score score_turns(std::string_view expected, std::span<const Turn> turns) const {
    return score(expected, turns.back().answer);
  }
};

/// Every suite, in the order of `list suites` (suites/registry.cpp).
std::span<const Suite* const> all_suites();

/// The suite of that name, or nullptr.
const Suite* find_suite(std::string_view name);

/// Typed access to a full set of parameters (defaults overlaid by the profile): a missing name or
/// another type is a bug of the caller, since profiles/schema has checked both.
const ParameterValue& parameter(const Parameters& parameters, const std::string& name);
template <typename T>
const T& parameter_as(const Parameters& parameters, const std::string& name) {
  return std::get<T>(parameter(parameters, name));
}

}  // namespace ds4::suites
