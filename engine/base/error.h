// ds4::Error: a problem the user or the machine has, thrown at set-up and I/O and caught once at
// the top. Wrong answers, time-outs and crashes of a worker are not errors but outcomes; bugs of
// ours are DS4_CHECK (check.h).
#pragma once

#include <stdexcept>
#include <string>

namespace ds4 {

enum class ErrorCode {
  kUsage,       // command line; exit code 2
  kProfile,     // profile or suite file; exit code 2
  kCheckpoint,  // weights, config.json, tokenizer.json; exit code 2
  kMachine,     // the machine is not fit: no GPU, too little memory; exit code 3
  kIo,          // files, disk full, database; exit code 3
};

/// What went wrong and what to do about it.
/// `what` names the thing ("profiles/a.toml:14: `context.max` is ..."), `hint` the next step.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& what, std::string hint = "")
      : std::runtime_error(what), code_(code), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ErrorCode code_;
  std::string hint_;
};

/// The exit code of the command line for an error (README, "Exit codes").
int exit_code(ErrorCode code);

}  // namespace ds4
