// What a worker tells its supervisor: one JSON object a line, and the one JSON document it is
// given. Both ends of the pipe are here, so that the format has one home.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "probes/sample.h"
#include "profiles/schema/plan.h"
#include "reports/store/store.h"

namespace ds4::runners {

/// Handed to the worker on its standard input.
struct Assignment {
  profiles::Cell cell;
  std::set<std::pair<std::string, std::string>> done;  // (suite, case id) answered earlier
};

struct PhaseMessage {
  std::string phase;   // "load", "capture", "prefill", "decode", "idle", "teardown"
  std::string detail;  // how far it is, as people read it; "" unless it tells
};
struct ReadyMessage {
  std::string target;                               // to_json(Capabilities)
  int cases = 0;                                    // how many are to be run now
  std::map<std::string, std::string> skipped = {};  // as reports::LaunchRow::skipped
};
struct CaseMessage {  // a case begins
  std::string suite, case_id;
};
struct ProgressMessage {  // at most a few a second: tokens of all cases in flight together
  int64_t prompt_done = 0, completion_done = 0;
};
struct AttemptMessage {  // a case ended
  reports::AttemptRow attempt;
  std::optional<reports::ScoreRow> score;
};
struct SamplesMessage {  // readings that belong to the launch
  std::vector<probes::Sample> samples;
};
struct ErrorMessage {  // set-up failed; the worker ends
  std::string what, hint;
  std::string code;  // which ErrorCode, by name; "memory" when an allocation failed; of a server
                     // that was started "server_ended", "server_deaf", "server_not_serving"
  int exit_code = 0;
  int server_code = 0, server_signal = 0;  // how that server ended
  std::string phase = {};                  // in which it did; "" = the present one
};
struct DoneMessage {};

using Message = std::variant<PhaseMessage, ReadyMessage, CaseMessage, ProgressMessage,
                             AttemptMessage, SamplesMessage, ErrorMessage, DoneMessage>;

/// One line without the newline. Invalid UTF-8 in texts becomes U+FFFD.
std::string encode(const Message& message);

/// The message of a line, or nothing when the line is not one of ours (a torn last line of a killed
/// worker, or stray output).
std::optional<Message> decode(std::string_view line);

std::string encode(const Assignment& assignment);
/// Throws Error(kUsage) when the text is not an assignment.
Assignment decode_assignment(std::string_view text);

}  // namespace ds4::runners
