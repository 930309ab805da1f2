#include "probes/host_speed.h"

#include <dnnl.h>
#include <omp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/processors.h"
#include "probes/host_memory.h"

namespace ds4::probes {
namespace {

constexpr int kPasses = 4;  // of measure_host_speed(): others can only slow a pass down
constexpr int64_t kSgemmSize = 1024;
constexpr int64_t kCheckedStep = 997;  // every so many elements of a copy are looked at

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

void fill_random(std::span<float> values, uint32_t seed) {
  for (uint32_t i = seed; float& value : values) {
    const uint32_t mixed = ++i * 2654435761u;
    value = static_cast<float>((mixed ^ (mixed >> 15)) & 4095) / 2048 - 1;
  }
}

// A few elements of the library's C = A B^T, row by row, against double.
void check_product(const std::vector<float>* at) {
  for (const int64_t place : {int64_t{0}, kSgemmSize * 517 + 311, kSgemmSize * kSgemmSize - 1}) {
    const int64_t row = place / kSgemmSize, col = place % kSgemmSize;
    double sum = 0;
    for (int64_t k = 0; k < kSgemmSize; ++k) {
      sum += static_cast<double>(at[0][static_cast<size_t>(row * kSgemmSize + k)]) *
             static_cast<double>(at[1][static_cast<size_t>(col * kSgemmSize + k)]);
    }
    DS4_CHECK(std::abs(sum - static_cast<double>(at[2][static_cast<size_t>(place)])) < 1e-3);
  }
}

}  // namespace

ReadProbe::ReadProbe()
    : bytes_(far_beyond_caches()), data_(new uint64_t[static_cast<size_t>(bytes_ / 8)]) {
  // Of no pattern: also because untouched pages would all be read from the one page of zeros.
  for (uint64_t i = 0; i < static_cast<uint64_t>(bytes_ / 8); ++i) {
    const uint64_t mixed = (i + 1) * 0x9E3779B97F4A7C15u;
    data_[i] = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93u;
  }
}

Pass ReadProbe::run(int threads, int64_t bytes, int rounds) {
  const int64_t share = bytes / 8 / threads / 64 * 64;
  DS4_CHECK(share > 0 && bytes <= bytes_);
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  const auto work = static_cast<double>(share * 8 * threads) * rounds;
  const Pass pass = on_threads(threads, work, [&](int thread) {
    uint64_t& sum = sums[static_cast<size_t>(thread)];
    for (int round = 0; round < rounds; ++round) {
      sum += sum_of(data_.get() + thread * share, share);
    }
  });
  // Another way to the same sum; needing it keeps the compiler from leaving reads out.
  const uint64_t sum = std::accumulate(sums.begin(), sums.end(), uint64_t{0});
  const auto [once, is_new] = expected_.try_emplace(share * threads);
  if (is_new) {
    once->second = std::accumulate(data_.get(), data_.get() + share * threads, uint64_t{0});
  }
  DS4_CHECK(sum == once->second * static_cast<uint64_t>(rounds));
  return pass;
}

StreamProbe::StreamProbe()
    : count_(far_beyond_caches() / 3 / 4 / 1024 * 1024),
      a_(new float[static_cast<size_t>(count_)]),
      b_(new float[static_cast<size_t>(count_)]),
      c_(new float[static_cast<size_t>(count_)]) {
  fill_random({a_.get(), static_cast<size_t>(count_)}, 1);
  fill_random({b_.get(), static_cast<size_t>(count_)}, 2);
  std::fill_n(c_.get(), count_, 0.0f);
}

Pass StreamProbe::write(int threads) {
  const int64_t share = count_ / threads;
  const Pass pass = on_threads(threads, 4.0 * static_cast<double>(share * threads), [&](int t) {
    std::fill_n(c_.get() + t * share, share, static_cast<float>(t + 1));
  });
  DS4_CHECK(c_[0] == 1.0f &&
            c_[static_cast<size_t>(share * threads - 1)] == static_cast<float>(threads));
  return pass;
}

Pass StreamProbe::copy(int threads) {
  const int64_t share = count_ / threads;
  const Pass pass = on_threads(threads, 8.0 * static_cast<double>(share * threads), [&](int t) {
    std::memcpy(c_.get() + t * share, a_.get() + t * share, static_cast<size_t>(share) * 4);
  });
  for (int64_t i = 0; i < share * threads; i += kCheckedStep) {
    DS4_CHECK(c_[static_cast<size_t>(i)] == a_[static_cast<size_t>(i)]);
  }
  return pass;
}

Pass StreamProbe::triad(int threads) {
  const int64_t share = count_ / threads;
  const Pass pass = on_threads(threads, 12.0 * static_cast<double>(share * threads), [&](int t) {
    const float *a = a_.get() + t * share, *b = b_.get() + t * share;
    float* c = c_.get() + t * share;
    for (int64_t i = 0; i < share; ++i) c[i] = a[i] + 3 * b[i];
  });
  for (int64_t i = 0; i < share * threads; i += kCheckedStep) {
    const auto at = static_cast<size_t>(i);
    DS4_CHECK(std::abs(c_[at] - (a_[at] + 3 * b_[at])) <= 1e-6f * std::abs(c_[at]) + 1e-6f);
  }
  return pass;
}

SgemmProbe::SgemmProbe(int most_threads) {
  constexpr auto kValues = static_cast<size_t>(kSgemmSize * kSgemmSize);
  for (int i = 0; i < 3 * most_threads; ++i) {
    matrices_.emplace_back(kValues);
    fill_random(matrices_.back(), static_cast<uint32_t>(i));
  }
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
  for (int thread = 0; thread < threads; ++thread) check_product(matrices_.data() + 3 * thread);
  return pass;
}

HostSpeed measure_host_speed(int threads) {
  ReadProbe reads;
  SgemmProbe products(threads);
  HostSpeed best;
  for (int pass = 0; pass < kPasses; ++pass) {
    best.read_rate = std::max(best.read_rate, reads.run(threads).rate());
    best.sgemm_rate = std::max(best.sgemm_rate, products.run(threads).rate());
  }
  return best;
}

}  // namespace ds4::probes
