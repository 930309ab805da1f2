#include "runners/outcome/phrases.h"

#include <algorithm>
#include <cctype>

namespace ds4::runners::outcome {
namespace {

struct Phrase {
  Tells tells;
  std::string_view text;  // lower case
};

constexpr Phrase kPhrases[] = {
    {Tells::kOutOfMemory, "out of memory"},
    {Tells::kOutOfMemory, "bad_alloc"},
    {Tells::kOutOfMemory, "cannot allocate "},      // engine/ops/cpu, engine/weights/synthetic
    {Tells::kOutOfMemory, "the gpu cannot give "},  // engine/device/memory
    {Tells::kOutOfMemory, "cudaerrormemoryallocation"},
    {Tells::kOutOfMemory, "cuda_error_out_of_memory"},
    {Tells::kOutOfMemory, "no available memory for the cache blocks"},  // vLLM, KV allocation
    {Tells::kGpuFault, "illegal memory access"},
    {Tells::kGpuFault, "illegal instruction was encountered"},
    {Tells::kGpuFault, "misaligned address"},
    {Tells::kGpuFault, "device-side assert"},
    {Tells::kGpuFault, "unspecified launch failure"},
    {Tells::kGpuFault, "device kernel image is invalid"},
    {Tells::kGpuFault, "no kernel image is available"},
    {Tells::kGpuFault, "cublas_status_execution_failed"},
    {Tells::kGpuFault, "triton error"},
    {Tells::kGpuFault, "nvrm: xid"},
    {Tells::kIncompatible, "unsupported expert number"},
    {Tells::kIncompatible, "unsupported architecture"},
    {Tells::kIncompatible, "are not supported for now"},  // vLLM, unknown architectures
    {Tells::kIncompatible, "keyerror:"},
    {Tells::kIncompatible, "size mismatch"},
    {Tells::kIncompatible, "shape mismatch"},
    {Tells::kIncompatible, ": cannot be read any more"},  // engine/base/mapped_files
    {Tells::kFallback, "falling back to"},
    {Tells::kFallback, "fast path disabled"},
    {Tells::kFallback, "packed kv refused"},
    {Tells::kFallback, "using default moe config"},
    {Tells::kFallback, "using default w8a8 block fp8"},
    {Tells::kFallback, "jit compilation during inference"},  // vLLM: a kernel that warm-up missed
    {Tells::kOurBug, ": check failed: "},                    // engine/base/check.h
    {Tells::kDriverNoMemory, "nv_err_no_memory"},
    {Tells::kKernelOomKill, "out of memory: killed process"},
    {Tells::kKernelOomKill, "memory cgroup out of memory"},
    {Tells::kKernelOomKill, "oom-kill:"},
};

constexpr size_t kMostLines = 20;
constexpr size_t kLongestLine = 400;

bool contains(std::string_view line, std::string_view phrase) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
  };
  return std::search(line.begin(), line.end(), phrase.begin(), phrase.end(), same) != line.end();
}

bool tells(std::string_view line, Tells what) {
  return std::any_of(std::begin(kPhrases), std::end(kPhrases), [&](const Phrase& phrase) {
    return phrase.tells == what && contains(line, phrase.text);
  });
}

}  // namespace

std::string_view line_that_tells(std::string_view text, Tells what) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (tells(line, what)) return line;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

void FallbackLines::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    // A line without an end must not grow without one.
    const size_t room = kLongestLine - std::min(kLongestLine, partial_.size());
    partial_ += bytes.substr(0, std::min({end, bytes.size(), room}));
    if (end == bytes.npos) return;
    if (lines_.size() < kMostLines && tells(partial_, Tells::kFallback)) lines_.push_back(partial_);
    partial_.clear();
    bytes.remove_prefix(end + 1);
  }
}

}  // namespace ds4::runners::outcome
