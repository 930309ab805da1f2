#include "probes/host_speed.h"

#include <dnnl.h>
#include <omp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <numeric>
#include <string>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/processors.h"
#include "probes/host_memory.h"

namespace ds4::probes {
namespace {

constexpr int64_t kSgemmSize = 1024;

double thread_cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Runs body(thread) on `threads` threads that start together. Inside the window: the bodies alone,
// not the making of the threads.
template <class Body>
Pass on_threads(int threads, double work, const Body& body) {
  std::vector<double> cpu(static_cast<size_t>(threads));
  std::vector<double> begin(cpu.size());
  std::vector<double> end(cpu.size());
  std::barrier together(threads);
  const auto run = [&](int thread) {
    const auto at = static_cast<size_t>(thread);
    together.arrive_and_wait();
    begin[at] = monotonic_seconds();
    const double cpu_begin = thread_cpu_seconds();
    body(thread);
    cpu[at] = thread_cpu_seconds() - cpu_begin;
    end[at] = monotonic_seconds();
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
  run(0);
  for (std::thread& other : others) other.join();
  Pass pass{work, 0, 0, threads};
  pass.wall_s =
      *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
  for (const double seconds : cpu) pass.cpu_s += seconds;
  return pass;
}

// Eight times the last-level cache, but no more than a quarter of what is free.
int64_t far_beyond_caches() {
  const int64_t cache = std::max<int64_t>(::sysconf(_SC_LEVEL3_CACHE_SIZE), 32 << 20);
  return std::min(8 * cache, read_machine_memory().available_bytes / 4) / 4096 * 4096;
}

// Vectors of 64 bytes; the compiler splits them where the machine's are shorter. Eight sums hide
// the latency of adding.
using Words = uint64_t __attribute__((vector_size(64), aligned(8)));

uint64_t sum_of(const uint64_t* data, int64_t count) {
  Words sums[8] = {};
  const auto* vectors = reinterpret_cast<const Words*>(data);
  for (int64_t i = 0; i + 8 <= count / 8; i += 8) {
    for (int64_t j = 0; j < 8; ++j) sums[j] += vectors[i + j];
  }
  uint64_t total = 0;
  for (const Words& sum : sums) {
    for (int lane = 0; lane < 8; ++lane) total += sum[lane];
  }
  return total;
}

}  // namespace

ReadProbe::ReadProbe()
    : bytes_(far_beyond_caches()), data_(new uint64_t[static_cast<size_t>(bytes_ / 8)]) {
  // Every page must exist: untouched pages would all be read from the one page of zeros.
  for (int64_t i = 0; i < bytes_ / 8; ++i) data_[static_cast<size_t>(i)] = static_cast<uint64_t>(i);
}

Pass ReadProbe::run(int threads) {
  const int64_t share = bytes_ / 8 / threads / 64 * 64;
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  const auto work = static_cast<double>(share * 8 * threads);
  const Pass pass = on_threads(threads, work, [&](int thread) {
    sums[static_cast<size_t>(thread)] = sum_of(data_.get() + thread * share, share);
  });
  // The sum of 0, 1, 2, ... is known; checking it also keeps the compiler from leaving reads out.
  const auto count = static_cast<uint64_t>(share) * static_cast<uint64_t>(threads);
  const uint64_t sum = std::accumulate(sums.begin(), sums.end(), uint64_t{0});
  DS4_CHECK(sum == count / 2 * (count - 1));
  return pass;
}

SgemmProbe::SgemmProbe(int most_threads) {
  constexpr auto kValues = static_cast<size_t>(kSgemmSize * kSgemmSize);
  for (int i = 0; i < 3 * most_threads; ++i) matrices_.emplace_back(kValues, 1.0f / 1024);
}

Pass SgemmProbe::run(int threads) {
  constexpr double kSize = kSgemmSize;
  std::atomic<bool> refused{false};
  const Pass pass = on_threads(threads, 2 * kSize * kSize * kSize * threads, [&](int thread) {
    omp_set_num_threads(1);  // the library's own threads; a setting of the calling thread
    std::vector<float>* at = matrices_.data() + 3 * thread;
    if (dnnl_sgemm('N', 'T', kSgemmSize, kSgemmSize, kSgemmSize, 1, at[0].data(), kSgemmSize,
                   at[1].data(), kSgemmSize, 0, at[2].data(), kSgemmSize) != dnnl_success) {
      refused = true;
    }
  });
  if (refused) {
    throw Error(ErrorCode::kMachine, "oneDNN refused an f32 matrix product",
                "Reinstall its package, libdnnl2 or libdnnl3.");
  }
  return pass;
}

std::vector<Sample> measure_host_speed(double seconds) {
  const double start = monotonic_seconds();
  std::vector<Sample> samples;
  std::vector<int> counts{1};
  if (usable_processors() > 1) counts.push_back(usable_processors());
  ReadProbe reads;
  SgemmProbe products(usable_processors());
  products.run(usable_processors());  // the library builds its kernel on first use
  const auto keep = [&](const char* metric, const char* share_metric, const Pass& pass) {
    const std::string phase =
        std::to_string(pass.threads) + (pass.threads == 1 ? " thread" : " threads");
    const double time = monotonic_seconds() - start;
    samples.push_back({metric, pass.rate(), time, phase});
    samples.push_back({share_metric, pass.share(), time, phase});
  };
  const double begin = monotonic_seconds();
  do {
    for (const int threads : counts) {
      keep("read_rate", "read_share", reads.run(threads));
      keep("sgemm_rate", "sgemm_share", products.run(threads));
    }
  } while (monotonic_seconds() - begin < seconds);
  return samples;
}

}  // namespace ds4::probes
