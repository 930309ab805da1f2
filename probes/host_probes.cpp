#include "probes/host_probes.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/processors.h"
#include "engine/base/units.h"
#include "probes/host_speed.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "ceilings";
// Of a pass over a small working set, so that a clock can see it.
constexpr int64_t kWorkPerPass = int64_t{64} << 20;
// Of the cores that a pass asked for; with less its rate is that of a part of the machine.
constexpr double kLeastShare = 0.9;
// No core of today does more: two loads of 64 bytes and two multiply-adds of 16 f32 in a clock, at
// no more than 6.5 GHz.
constexpr double kMostClock_hz = 6.5e9;
constexpr double kMostBytes = 2 * 64 * kMostClock_hz;
constexpr double kMostFlops = 2 * 2 * 16 * kMostClock_hz;

std::string threads_text(int threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

std::vector<int> thread_counts() {
  const int all = usable_processors();
  return all > 1 ? std::vector<int>{1, all} : std::vector<int>{1};
}

double most_possible(const std::string& metric, const std::string&) {
  const double cores = usable_processors();
  if (metric == "sgemm_rate") return kMostFlops * cores;
  return metric.ends_with("_rate") ? kMostBytes * cores : 0;
}

// Whether the last pass had the cores to itself.
class Neighbours {
 public:
  double rate(const Pass& pass) {
    disturbed_ = pass.share() < kLeastShare;
    return pass.rate();
  }
  std::string slowed_by() {
    return std::exchange(disturbed_, false) ? "others took the cores" : "";
  }

 private:
  bool disturbed_ = false;
};

void measure_reads(Recorder& recorder, Neighbours& neighbours, ReadProbe& reads) {
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    recorder.measure(kGroup, "read_rate", of, [&] {
      const Pass pass = reads.run(threads);
      recorder.add(kGroup, "read_share", of, pass.share());
      return neighbours.rate(pass);
    });
  }
}

void measure_working_sets(Recorder& recorder, Neighbours& neighbours, ReadProbe& reads) {
  const int threads = usable_processors();
  for (int64_t bytes = int64_t{64} << 10; bytes <= reads.bytes(); bytes *= 4) {
    const int rounds = static_cast<int>(std::max<int64_t>(1, kWorkPerPass / bytes));
    recorder.measure(kGroup, "working_set_rate", format_bytes(bytes) + ", " + threads_text(threads),
                     [&] { return neighbours.rate(reads.run(threads, bytes, rounds)); });
  }
}

void measure_streams(Recorder& recorder, Neighbours& neighbours) {
  StreamProbe streams;
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    const auto measure = [&](const char* metric, Pass (StreamProbe::*run)(int)) {
      recorder.measure(kGroup, metric, of,
                       [&] { return neighbours.rate((streams.*run)(threads)); });
    };
    measure("write_rate", &StreamProbe::write);
    measure("copy_rate", &StreamProbe::copy);
    measure("mix_rate", &StreamProbe::triad);
  }
}

void measure_products(Recorder& recorder, Neighbours& neighbours) {
  SgemmProbe products(usable_processors());
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    recorder.measure(kGroup, "sgemm_rate", of, [&] {
      const Pass pass = products.run(threads);
      recorder.add(kGroup, "sgemm_share", of, pass.share());
      return neighbours.rate(pass);
    });
  }
}

}  // namespace

HostProbes host_probes(bool quick) {
  const double scale = quick ? 1 : 3;
  // One buffer for both, made by the first of them.
  const auto buffer = std::make_shared<std::unique_ptr<ReadProbe>>();
  const auto reads = [buffer]() -> ReadProbe& {
    if (!*buffer) *buffer = std::make_unique<ReadProbe>();
    return **buffer;
  };
  const auto n = std::make_shared<Neighbours>();
  return {[n] { return n->slowed_by(); },
          most_possible,
          {{kGroup, "reads", 1.2 * scale, [=](Recorder& r) { measure_reads(r, *n, reads()); }},
           {kGroup, "working sets", 3 * scale,
            [=](Recorder& r) { measure_working_sets(r, *n, reads()); }},
           {kGroup, "writes and copies", 3 * scale, [=](Recorder& r) { measure_streams(r, *n); }},
           {kGroup, "sgemm", 1.2 * scale, [=](Recorder& r) { measure_products(r, *n); }}}};
}

}  // namespace ds4::probes
