#include "probes/host_probes.h"

#include <algorithm>
#include <memory>
#include <string>

#include "engine/base/processors.h"
#include "engine/base/units.h"
#include "probes/host_speed.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "ceilings";
// Of a pass over a small working set, so that a clock can see it.
constexpr int64_t kWorkPerPass = int64_t{64} << 20;

std::string threads_text(int threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

std::vector<int> thread_counts() {
  const int all = usable_processors();
  return all > 1 ? std::vector<int>{1, all} : std::vector<int>{1};
}

void measure_reads(Recorder& recorder, ReadProbe& reads) {
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    recorder.measure(kGroup, "read_rate", of, [&] {
      const Pass pass = reads.run(threads);
      recorder.add(kGroup, "read_share", of, pass.share());
      return pass.rate();
    });
  }
}

void measure_working_sets(Recorder& recorder, ReadProbe& reads) {
  const int threads = usable_processors();
  for (int64_t bytes = int64_t{64} << 10; bytes <= reads.bytes(); bytes *= 4) {
    const int rounds = static_cast<int>(std::max<int64_t>(1, kWorkPerPass / bytes));
    recorder.measure(kGroup, "working_set_rate", format_bytes(bytes) + ", " + threads_text(threads),
                     [&] { return reads.run(threads, bytes, rounds).rate(); });
  }
}

void measure_streams(Recorder& recorder) {
  StreamProbe streams;
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    recorder.measure(kGroup, "write_rate", of, [&] { return streams.write(threads).rate(); });
    recorder.measure(kGroup, "copy_rate", of, [&] { return streams.copy(threads).rate(); });
    recorder.measure(kGroup, "mix_rate", of, [&] { return streams.triad(threads).rate(); });
  }
}

void measure_products(Recorder& recorder) {
  SgemmProbe products(usable_processors());
  for (const int threads : thread_counts()) {
    const std::string of = threads_text(threads);
    recorder.measure(kGroup, "sgemm_rate", of, [&] {
      const Pass pass = products.run(threads);
      recorder.add(kGroup, "sgemm_share", of, pass.share());
      return pass.rate();
    });
  }
}

}  // namespace

std::vector<Probe> host_probes(bool quick) {
  const double scale = quick ? 1 : 3;
  // One buffer for both, made by the first of them.
  const auto buffer = std::make_shared<std::unique_ptr<ReadProbe>>();
  const auto reads = [buffer]() -> ReadProbe& {
    if (!*buffer) *buffer = std::make_unique<ReadProbe>();
    return **buffer;
  };
  return {{kGroup, "reads", 1.2 * scale, [reads](Recorder& r) { measure_reads(r, reads()); }},
          {kGroup, "working sets", 3 * scale,
           [reads](Recorder& r) { measure_working_sets(r, reads()); }},
          {kGroup, "writes and copies", 3 * scale, measure_streams},
          {kGroup, "sgemm", 1.2 * scale, measure_products}};
}

}  // namespace ds4::probes
