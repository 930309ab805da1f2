// How fast a checkpoint on disk comes to the GPU, beside what its disk gives to direct reads alone,
// and how much GPU memory that takes beside the plan, in one run:  bench_load CHECKPOINT [FOLDER]
// With FOLDER the checkpoint is a synthetic one, written there first.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "engine/api/inventory.h"
#include "engine/api/session.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace ds4 {
namespace {

constexpr int64_t kBlock = int64_t{8} << 20;

struct File {
  int fd = -1;
  int64_t bytes = 0;
};

std::vector<File> open_files(const std::filesystem::path& checkpoint) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<File> files;
  for (const auto& path : paths) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) throw Error(ErrorCode::kIo, path.string() + ": no direct reads here", "");
    files.push_back({fd, static_cast<int64_t>(std::filesystem::file_size(path))});
  }
  return files;
}

// Bytes per second of `threads` threads that read all files in order and look at nothing.
double direct_read_rate(const std::vector<File>& files, int threads) {
  struct Piece {
    int fd;
    int64_t at;
  };
  std::vector<Piece> pieces;
  int64_t total = 0;
  for (const File& file : files) {
    for (int64_t at = 0; at < file.bytes; at += kBlock) pieces.push_back({file.fd, at});
    total += file.bytes;
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    const std::unique_ptr<void, decltype(&std::free)> room(std::aligned_alloc(4096, kBlock),
                                                           &std::free);
    for (size_t i = next++; i < pieces.size(); i = next++) {
      if (::pread(pieces[i].fd, room.get(), kBlock, pieces[i].at) <= 0) std::abort();
    }
  };
  const double start = monotonic_seconds();
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < threads; ++i) readers.emplace_back(work);
  }
  return static_cast<double>(total) / (monotonic_seconds() - start);
}

double mib(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// A prompt of several chunks and an answer long enough for recorded steps.
void use(Engine& engine) {
  std::vector<TokenId> prompt;
  for (int64_t i = 0; i < 2000; ++i) {
    prompt.push_back(static_cast<TokenId>((i * 7919 + 13) % engine.info().vocab_size));
  }
  const auto session = engine.new_session();
  session->extend_to(prompt);
  for (int i = 0; i < 64; ++i) session->decode({}, 1);
}

// Bytes per second of a load, everything from opening to being ready counted.
double load(const std::filesystem::path& checkpoint) {
  EngineSettings settings;
  settings.device = Device::kCuda;
  int64_t bytes = 0;
  double first = 0;
  const double start = monotonic_seconds();
  const auto engine = Engine::load_watched(checkpoint, settings, [&](int64_t done, int64_t) {
    if (bytes == 0) first = monotonic_seconds() - start;
    bytes = done;
  });
  const double seconds = monotonic_seconds() - start;
  const double rate = static_cast<double>(bytes) / seconds;
  std::printf("load: %.2f GB in %.2f s, %.2f GB/s; the first piece after %.2f s\n",
              static_cast<double>(bytes) / 1e9, seconds, rate / 1e9, first);
  const int64_t loaded = gpu_memory_in_use();
  use(*engine);
  const double planned = mib(estimate_memory(checkpoint, settings).total_bytes());
  const double used = mib(gpu_memory_in_use());
  std::printf(
      "GPU memory: planned %.1f MiB, in use when loaded %.1f, after an answer %.1f: "
      "%+.2f %% off the plan\n",
      planned, mib(loaded), used, 100 * (used - planned) / planned);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("host memory at most: %.1f MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return rate;
}

void run(const std::filesystem::path& checkpoint) {
  std::printf("GPU memory in use with the context: %.1f MiB\n", mib(gpu_memory_in_use()));
  if (!std::filesystem::is_directory(checkpoint)) {  // generated weights
    load(checkpoint);
    return;
  }
  const std::vector<File> files = open_files(checkpoint);
  double best = 0;
  const auto direct = [&](int threads) {
    const double rate = direct_read_rate(files, threads);
    best = std::max(best, rate);
    std::printf("direct reads, %2d threads: %.2f GB/s\n", threads, rate / 1e9);
  };
  for (const int threads : {1, 4, 16}) direct(threads);
  const double rate = std::max(load(checkpoint), load(checkpoint));
  direct(16);
  std::printf("load over direct reads, the best of each: %.2f\n", rate / best);
}

}  // namespace
}  // namespace ds4

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_load CHECKPOINT [FOLDER]\n");
    return 2;
  }
  try {
    if (argc == 3) {
      ds4::synthesize_checkpoint(argv[1], argv[2], nullptr);
      ::sync();
    }
    ds4::run(argv[argc - 1]);
    return 0;
  } catch (const ds4::Error& error) {
    std::fprintf(stderr, "%s\n  %s\n", error.what(), error.hint().c_str());
    return ds4::exit_code(error.code());
  }
}
