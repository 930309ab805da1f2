#include "runners/guard/course.h"

#include <algorithm>

namespace ds4::runners::guard {
namespace {

int64_t used(const Sample& reading) {
  return reading.total - reading.available;
}

// Positions of the readings to keep, ascending: the first, the last, and of each stretch two.
std::vector<size_t> kept(const std::vector<Sample>& readings, int n_stretches) {
  std::vector<size_t> places = {0};
  const double begin = readings.front().time_s;
  const double length = (readings.back().time_s - begin) / n_stretches;
  for (size_t first = 0; first < readings.size();) {
    const auto stretch = [&](size_t i) {
      if (length <= 0) return 0;
      return std::min(n_stretches - 1, static_cast<int>((readings[i].time_s - begin) / length));
    };
    size_t end = first, least = first, most = first;
    for (; end < readings.size() && stretch(end) == stretch(first); ++end) {
      if (used(readings[end]) < used(readings[least])) least = end;
      if (used(readings[end]) > used(readings[most])) most = end;
    }
    places.insert(places.end(), {std::min(least, most), std::max(least, most)});
    first = end;
  }
  places.push_back(readings.size() - 1);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

}  // namespace

std::vector<probes::Sample> course_of(const Trace& trace, int n_stretches) {
  std::vector<Sample> readings;
  for (const Sample& reading : trace.samples) {
    if (reading.readable() && reading.total >= 0) readings.push_back(reading);
  }
  std::vector<probes::Sample> samples;
  if (readings.empty()) return samples;
  int64_t floor = -1;
  for (const size_t i : kept(readings, n_stretches)) {
    const Sample& reading = readings[i];
    const std::string phase(name(reading.phase));
    samples.push_back(
        {"course_machine_memory", static_cast<double>(used(reading)), reading.time_s, phase});
    if (reading.gpu_target >= 0) {
      samples.push_back(
          {"course_device_memory", static_cast<double>(reading.gpu_target), reading.time_s, phase});
    }
    if (!trace.limits || trace.limits->floor(reading.phase) == floor) continue;
    floor = trace.limits->floor(reading.phase);
    samples.push_back({"course_floor", static_cast<double>(floor), reading.time_s, phase});
  }
  return samples;
}

}  // namespace ds4::runners::guard
