// A server that ds4-sweep started and that cannot be measured any more: no error of the profile or
// the machine, but an outcome, with what its classification needs (runners/outcome).
#pragma once

#include <string>

#include "engine/base/error.h"

namespace ds4::runners {

class ServerFailure : public Error {
 public:
  enum class Kind {
    kEnded,       // by itself, with that code or signal
    kDeaf,        // runs, but nobody listens or says that all is well
    kNotServing,  // says that all is well, and does not serve
  };

  ServerFailure(Kind kind, const std::string& what, int code = 0, int signal = 0)
      : Error(ErrorCode::kMachine, what), kind_(kind), code_(code), signal_(signal) {}

  Kind kind() const { return kind_; }
  int exit_code() const { return code_; }
  int signal() const { return signal_; }
  /// Where it was when it failed ("prefill"); "" = where the worker is.
  std::string phase;

 private:
  Kind kind_;
  int code_, signal_;
};

}  // namespace ds4::runners
