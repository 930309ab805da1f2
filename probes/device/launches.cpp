#include "probes/device/launches.h"

#include <functional>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "engine/device/error.h"
#include "probes/device/graph.h"
#include "probes/device/launch_kernels.h"
#include "probes/device/streaming.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "launch";
constexpr int kKernels = 1000;  // of a chain: about what a decode step launches
// Read by the whole chain: about what a decode step reads.
constexpr int64_t kStepBytes = int64_t{11} << 30;

double seconds_of(const std::function<void()>& work) {
  const double begin = monotonic_seconds();
  work();
  return monotonic_seconds() - begin;
}

void measure_empty(Gpu& gpu, Recorder& recorder) {
  const device::Stream& stream = gpu.stream();
  const auto chain = [&] {
    for (int i = 0; i < kKernels; ++i) launch_empty(stream);
  };
  const auto measure = [&](const char* of, const std::function<double()>& pass) {
    recorder.measure(kGroup, "launch_time", of, [&] {
      const double value = pass();
      stream.wait();
      return value;
    });
    DS4_CUDA(cudaGetLastError());
  };
  measure("kernel, handed over by the host", [&] { return seconds_of(chain) / kKernels; });
  measure("kernel, one behind the other on the GPU",
          [&] { return gpu.seconds(chain, true) / kKernels; });
  measure("kernel, until the host sees its end", [&] {
    return seconds_of([&] {
      launch_empty(stream);
      stream.wait();
    });
  });
  const Graph one(stream, [&] { launch_empty(stream); });
  measure("graph of one node, until the host sees its end", [&] {
    return seconds_of([&] {
      one.replay();
      stream.wait();
    });
  });
  const Graph many(stream, chain);
  measure("graph of 1,000 nodes, handed over by the host",
          [&] { return seconds_of([&] { many.replay(); }); });
  measure("graph, each of 1,000 nodes on the GPU",
          [&] { return gpu.seconds([&] { many.replay(); }, true) / kKernels; });
}

// A chain that reads as much as a decode step: how long the host needs to hand it over, and whether
// the GPU waits for that.
void measure_dispatch(Gpu& gpu, Recorder& recorder) {
  const int64_t each = Gpu::fitting(kStepBytes, 0.5) / kKernels / kPiece * kPiece;
  if (each == 0) {
    recorder.absent(kGroup, "dispatch_share", "1,000 kernels", "too little memory is free");
    return;
  }
  const std::byte* data = gpu.numbers(each * kKernels).data();
  double* total = gpu.total();
  const device::Stream& stream = gpu.stream();
  const auto chain = [&] {
    for (int i = 0; i < kKernels; ++i) {
      read_all(data + i * each, each, Reading::kF32, {8, true}, total, stream);
    }
  };
  const auto measure = [&](const std::string& of, const std::function<void()>& start) {
    recorder
        .measure(kGroup, "dispatch_share", of,
                 [&] {
                   double handed_over = 0;
                   const double all = seconds_of([&] {
                     handed_over = seconds_of(start);
                     stream.wait();
                   });
                   recorder.add(kGroup, "launch_time", of + ", until done", all);
                   return handed_over / all;
                 })
        .note = format_bytes(each) + " each";
  };
  measure("1,000 reading kernels", chain);
  const Graph graph(stream, chain);
  measure("1,000 reading kernels as a graph", [&] { graph.replay(); });
  gpu.drop_numbers();
}

}  // namespace

std::vector<Probe> launch_probes(const std::shared_ptr<Gpu>& gpu) {
  return {{kGroup, "launches", 0.5, [gpu](Recorder& r) { measure_empty(*gpu, r); }},
          {kGroup, "dispatch of a chain", 1, [gpu](Recorder& r) { measure_dispatch(*gpu, r); }}};
}

}  // namespace ds4::probes
