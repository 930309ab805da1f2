#include "probes/recorder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/metric.h"

namespace ds4::probes {
namespace {

// A slowed-down GPU is given a moment before it is tried again, and twice the passes in all.
constexpr auto kRest = std::chrono::milliseconds(100);
// Clocks are told in whole steps, and a GPU may boost above the one it names.
constexpr double kAboveMost = 1.05;

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::vector<double> Series::kept() const {
  std::vector<double> values;
  for (const PassValue& pass : passes) {
    if (pass.discarded.empty()) values.push_back(pass.value);
  }
  return values;
}

double Series::median() const {
  if (!all_discarded()) return median_of(kept());
  std::vector<double> values;
  for (const PassValue& pass : passes) values.push_back(pass.value);
  return median_of(values);
}

Recorder::Recorder(Protocol protocol)
    : protocol_(std::move(protocol)), start_(monotonic_seconds()) {}

double Recorder::now() const {
  return monotonic_seconds() - start_;
}

Series& Recorder::measure(const std::string& group, const std::string& metric,
                          const std::string& of, const std::function<double()>& pass) {
  DS4_CHECK(find_metric(metric));
  Series series{group, metric, of, {}, ""};
  const auto slowed = [&] { return protocol_.slowed_by ? protocol_.slowed_by() : std::string(); };
  pass();
  const double begin = now();
  std::string before = slowed();
  int kept = 0, all = 0;
  while (kept < protocol_.passes && all < 2 * protocol_.passes) {
    const bool late = now() - begin > protocol_.most_s || now() > protocol_.all_s;
    if (late && all >= Protocol::kFewest) break;
    const double value = pass();
    require_possible(metric, of, value);
    std::string after = slowed();
    const std::string& reason = before.empty() ? after : before;
    series.passes.push_back({value, now(), reason});
    ++all;
    if (reason.empty()) {
      ++kept;
    } else {
      std::this_thread::sleep_for(kRest);
      after = slowed();
    }
    before = std::move(after);
  }
  series_.push_back(std::move(series));
  return series_.back();
}

void Recorder::absent(const std::string& group, const std::string& metric, const std::string& of,
                      const std::string& why) {
  DS4_CHECK(metric.empty() || find_metric(metric));
  series_.push_back({group, metric, of, {}, why});
}

void Recorder::refuse(const std::string& group, const std::string& of, const std::string& why) {
  series_.push_back({group, "", of, {}, why, true});
}

void Recorder::require_possible(const std::string& metric, const std::string& of,
                                double value) const {
  const bool share = find_metric(metric)->unit == "1";  // may be too small to be seen
  const double most = protocol_.most ? protocol_.most(metric, of) : 0;
  if (std::isfinite(value) && (value > 0 || (share && value == 0)) &&
      (most == 0 || value <= kAboveMost * most)) {
    return;
  }
  const std::string unit(find_metric(metric)->unit);
  throw ImpossibleFigure(
      ErrorCode::kMachine,
      metric + " of " + of + " came out as " + format_number(value) + " " + unit +
          (most > 0 ? ", and this machine cannot pass " + format_number(most, 4) + " " + unit : ""),
      "The probe did not do all its work, or miscounted it: a bug. Please report it.");
}

void Recorder::add(const std::string& group, const std::string& metric, const std::string& of,
                   double value) {
  DS4_CHECK(find_metric(metric));
  require_possible(metric, of, value);
  const auto same = std::find_if(series_.begin(), series_.end(),
                                 [&](const Series& s) { return s.metric == metric && s.of == of; });
  Series& series =
      same != series_.end() ? *same : series_.emplace_back(Series{group, metric, of, {}, ""});
  series.passes.push_back({value, now(), ""});
}

double Recorder::median(const std::string& metric, const std::string& of) const {
  for (const Series& series : series_) {
    if (series.metric == metric && series.of == of) return series.median();
  }
  return 0;
}

void run_probes(const std::vector<Probe>& probes, Recorder& recorder,
                const std::function<void(const ProbeProgress&)>& progress) {
  double expected_s = 0, done_s = 0;
  for (const Probe& probe : probes) expected_s += probe.expected_s;
  const double begin = monotonic_seconds();
  for (const Probe& probe : probes) {
    const double elapsed = monotonic_seconds() - begin;
    const double pace = done_s > 0 ? elapsed / done_s : 0;
    if (progress) progress({probe.name, done_s / expected_s, pace * (expected_s - done_s)});
    try {
      probe.run(recorder);
    } catch (const ImpossibleFigure& e) {
      recorder.refuse(probe.group, probe.name, e.what());
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kMachine) throw;
      recorder.absent(probe.group, "", probe.name, e.what());
    }
    done_s += probe.expected_s;
  }
  if (progress) progress({"", 1, 0});
}

}  // namespace ds4::probes
