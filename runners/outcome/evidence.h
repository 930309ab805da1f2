// Everything that is known of a launch when it has ended, or when it is found never to have ended.
// Facts only; what they amount to is classify.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ds4::runners::outcome {

/// Why the supervisor ended the worker, if it did.
enum class Stop {
  kNone,
  kUser,          // Ctrl-C or TERM to the supervisor
  kCellDeadline,  // limits.cell_timeout
  kDeaf,          // no case ended (or began) long after limits.case_timeout
};

/// What the guard did, in the words of its verdict (runners/guard/verdict.h).
struct GuardAct {
  enum class Kind { kNone, kKilled, kRefused, kLost } kind = Kind::kNone;
  std::string phase;  // when it fired
  std::string text;   // a sentence
};

/// One attempt of the launch, in the order they ended.
struct AttemptMark {
  bool answered = false;
  std::string outcome;      // its class
  std::string shape;        // suite and tags: attempts of one shape ask for the same work
  double decode_tok_s = 0;  // 0 = not known
  int64_t tokens = 0;
};

/// The last reading of a launch's telemetry.
struct LastReading {
  double time_s = 0;  // since the launch began
  int64_t available_bytes = 0;
  std::string phase;
  std::string lines;  // the last three, as they stand in the file
};

struct Evidence {
  // Of a launch that never ended: found by whoever opens the store next.
  bool ended = true;
  bool other_boot = false;
  std::optional<LastReading> last_reading = {};
  std::string next_case = {};  // the first planned case without an attempt

  // How the process ended.
  bool ready = false;  // the target was open
  bool done = false;   // the worker's last line said that its work is done
  int exit_code = 0, signal = 0;
  char state = 0;  // of the process when it was found deaf, as /proc has it: 'T' stopped, 'D' ...
  Stop stop = Stop::kNone;
  std::string deadline = {};  // which, as a sentence
  std::string phase = {};     // "start", "load", "capture", "prefill", "decode", "idle", "teardown"
  std::string in_flight = {};   // "suite/case, ..."
  std::string error = {};       // what the worker said before it ended: message and hint
  std::string error_code = {};  // ErrorCode by name, "memory", or "server_..." (protocol.h)
  int server_code = 0, server_signal = 0;  // of a server that the worker started
  std::string log_tail = {};

  // What others saw.
  std::string refused = {};  // why the launch was not made at all
  GuardAct guard = {};
  std::vector<std::string> fallbacks = {};     // lines of the log that tell of a refused fast path
  std::vector<std::string> kernel_lines = {};  // of the kernel's log that concern memory or the GPU
  int64_t oom_kills = 0;                       // by the kernel, on this machine, meanwhile
  int64_t group_oom_kills = -1;  // of them, in the worker's memory cgroup; -1 = not known
  double host_gap_s = 0;         // longest time the supervisor itself was not run
  std::string slow_state = {};   // what the sentinel saw, when it is out of bounds
  std::vector<std::string> contamination = {};
  std::vector<AttemptMark> attempts = {};
};

}  // namespace ds4::runners::outcome
