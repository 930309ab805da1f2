// What servers' logs tell: a table of patterns, and samples made of the lines that fit one. Knows
// nothing of files or processes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "probes/sample.h"

namespace ds4::runners::managed {

/// A number of a line: a metric of probes/metric.h, in units of `scale`.
struct LogNumber {
  std::string_view metric;
  double scale = 1;
};

struct LogPattern {
  std::string_view server;
  /// Fits anywhere in a line. `@` is a number (1,234.5), `*` any text, a blank one or more of them;
  /// everything else is itself.
  std::string_view text;
  std::vector<LogNumber> numbers;  // one for each @
  std::string_view phase = {};     // that begins with such a line
};

std::span<const LogPattern> log_patterns();

/// The numbers of a line where a pattern first fits it; empty when it does not.
std::vector<double> numbers_in(std::string_view line, std::string_view pattern);

class LogFacts {
 public:
  /// A whole line without its end, at that moment.
  void line(std::string_view line, double time_s);

  /// Those since the last call. A log that tells on and on is cut at 20,000 in all.
  std::vector<probes::Sample> take();
  /// The last phase that a line began; "" before.
  const std::string& phase() const { return phase_; }

 private:
  std::vector<probes::Sample> samples_;
  size_t n_ = 0;
  std::string phase_;
};

}  // namespace ds4::runners::managed
