// The protocol of every probe: repeat a pass, keep each value, throw out what was measured while
// the GPU was slowed down, and say so. What a pass does is not known here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace ds4::probes {

/// A value of one pass. `discarded`: why it does not count ("power cap"); "" = it counts.
struct PassValue {
  double value = 0;   // in the metric's unit
  double time_s = 0;  // since the probes began, monotonic clock
  std::string discarded;
};

/// All passes of one thing that was measured.
struct Series {
  std::string group;   // "ceilings", "paths", "launch", "gemv"
  std::string metric;  // a name of metric.h
  std::string of;      // what exactly: "F32 sums, 8 GiB"
  std::vector<PassValue> passes;
  std::string note;      // why there are none, or what the values say
  bool refused = false;  // there are none because one could not be true

  std::vector<double> kept() const;
  /// Their median. Where every pass was discarded the median of those: shown, never without saying
  /// so. 0 without passes.
  double median() const;
  bool all_discarded() const { return !passes.empty() && kept().empty(); }
};

/// Says why the GPU is slower than it could be ("power cap"), "" when it is not.
using SlowedBy = std::function<std::string()>;

/// The most that a metric can be on this machine, of a thing (Series::of); 0 = not known.
using MostPossible = std::function<double(const std::string& metric, const std::string& of)>;

/// A value that no machine of this kind can reach: the work was not all done, or miscounted.
class ImpossibleFigure : public Error {
 public:
  using Error::Error;
};

struct Protocol {
  int passes = 15;          // that count, of each series
  double most_s = 3;        // of one series: then at least kFewest passes and no more
  double all_s = 600;       // of all: from then on a series has kFewest passes
  SlowedBy slowed_by = {};  // asked before the first pass and behind each; may be empty
  MostPossible most = {};   // a pass above it is refused; may be empty
  static constexpr int kFewest = 3;

  static Protocol quick() { return {7, 0.6, 35, {}, {}}; }
  static Protocol thorough() { return {15, 3, 600, {}, {}}; }
};

class Recorder {
 public:
  explicit Recorder(Protocol protocol);

  /// Runs `pass` once without counting it, then repeats it; it returns one value in the metric's
  /// unit. The reference holds until the next call. Throws ImpossibleFigure for a value that is not
  /// a positive number or above Protocol::most.
  Series& measure(const std::string& group, const std::string& metric, const std::string& of,
                  const std::function<double()>& pass);
  /// A thing that cannot be measured here; without a metric when a whole probe could not run.
  void absent(const std::string& group, const std::string& metric, const std::string& of,
              const std::string& why);
  /// The same of a probe whose figure could not be true.
  void refuse(const std::string& group, const std::string& of, const std::string& why);
  /// One value that was taken by the way, under the same clock. Throws as measure().
  void add(const std::string& group, const std::string& metric, const std::string& of,
           double value);

  const std::vector<Series>& series() const { return series_; }
  /// The median of a series, 0 without one.
  double median(const std::string& metric, const std::string& of) const;
  const Protocol& protocol() const { return protocol_; }

 private:
  double now() const;
  void require_possible(const std::string& metric, const std::string& of, double value) const;

  Protocol protocol_;
  double start_;
  std::vector<Series> series_;
};

/// A few series that are measured together. `expected_s` only weighs the progress.
struct Probe {
  std::string group, name;
  double expected_s = 1;
  std::function<void(Recorder&)> run;
};

struct ProbeProgress {
  std::string name;   // what is being measured; "" at the end
  double share = 0;   // of the expected time, done
  double left_s = 0;  // by the pace so far; 0 = not known yet
};

/// Runs them one after the other. A probe that throws Error(kMachine) becomes an absent series with
/// its words, one that throws ImpossibleFigure a refused one, and the others go on.
void run_probes(const std::vector<Probe>& probes, Recorder& recorder,
                const std::function<void(const ProbeProgress&)>& progress);

}  // namespace ds4::probes
