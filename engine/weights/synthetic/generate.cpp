#include "engine/weights/synthetic/generate.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/processors.h"
#include "engine/base/units.h"

namespace ds4::weights::synthetic {
namespace {

constexpr size_t kAlignment = 64;
constexpr int64_t kBlock = 1 << 20;  // bytes a thread takes at a time

static_assert(std::endian::native == std::endian::little, "tensors are little-endian");

// Eight bytes of output at byte 8 * w of the tensor.
template <Fill kFill>
uint64_t output_word(const Recipe& recipe, uint64_t w) {
  if constexpr (kFill == Fill::kExpertIds) {
    return static_cast<uint64_t>(expert_id(recipe.key, w, recipe.n_experts, recipe.n_chosen));
  }
  const uint64_t random = word(recipe.key, w);
  if constexpr (kFill == Fill::kFp4Pairs) return random;
  uint64_t out = 0;
  if constexpr (kFill == Fill::kFp8 || kFill == Fill::kScale) {
    for (int byte = 0; byte < 8; ++byte) {
      const auto bits = static_cast<uint8_t>(random >> (8 * byte));
      const uint8_t code = kFill == Fill::kFp8 ? fp8_code(bits) : scale_code(bits, recipe.exponent);
      out |= static_cast<uint64_t>(code) << (8 * byte);
    }
  } else if constexpr (kFill == Fill::kUniformBf16) {
    for (int half = 0; half < 4; ++half) {
      const auto bits = static_cast<uint16_t>(random >> (16 * half));
      out |= static_cast<uint64_t>(bf16_code(bits, recipe.exponent, recipe.centre)) << (16 * half);
    }
  } else {
    for (int half = 0; half < 2; ++half) {
      const auto bits = static_cast<uint32_t>(random >> (32 * half));
      const float value = f32_value(bits, recipe.exponent, recipe.centre);
      out |= static_cast<uint64_t>(std::bit_cast<uint32_t>(value)) << (32 * half);
    }
  }
  return out;
}

template <Fill kFill>
void generate_as(const Recipe& recipe, uint64_t first_word, std::span<std::byte> out) {
  const size_t whole = out.size() / kGrain;
  for (size_t i = 0; i < whole; ++i) {
    const uint64_t value = output_word<kFill>(recipe, first_word + i);
    std::memcpy(out.data() + i * kGrain, &value, kGrain);
  }
  if (const size_t rest = out.size() % kGrain; rest > 0) {
    const uint64_t value = output_word<kFill>(recipe, first_word + whole);
    std::memcpy(out.data() + whole * kGrain, &value, rest);
  }
}

[[noreturn]] void refuse(size_t bytes, const char* action) {
  throw Error(ErrorCode::kMachine,
              std::string("cannot ") + action + " " + format_bytes(static_cast<int64_t>(bytes)) +
                  " for synthetic weights: " + std::strerror(errno),
              "Ask for fewer layers or experts, as in synthetic:k96:layers=4.");
}

}  // namespace

void generate(const Recipe& recipe, int64_t first, std::span<std::byte> out) {
  DS4_CHECK(first % kGrain == 0);
  const auto word = static_cast<uint64_t>(first / kGrain);
  switch (recipe.fill) {
    case Fill::kFp4Pairs:
      return generate_as<Fill::kFp4Pairs>(recipe, word, out);
    case Fill::kFp8:
      return generate_as<Fill::kFp8>(recipe, word, out);
    case Fill::kScale:
      return generate_as<Fill::kScale>(recipe, word, out);
    case Fill::kUniformBf16:
      return generate_as<Fill::kUniformBf16>(recipe, word, out);
    case Fill::kUniformF32:
      return generate_as<Fill::kUniformF32>(recipe, word, out);
    case Fill::kExpertIds:
      return generate_as<Fill::kExpertIds>(recipe, word, out);
  }
}

Memory::Memory(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    const auto bytes = static_cast<size_t>(tensor.bytes());
    ranges_.push_back({tensor.recipe, size_, bytes});
    size_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  void* base =
      ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) refuse(size_, "reserve address space of");
  base_ = static_cast<std::byte*>(base);
}

Memory::~Memory() {
  ::munmap(base_, size_);
}

std::span<const std::byte> Memory::bytes(size_t tensor) const {
  const Range& range = ranges_[tensor];
  return {base_ + range.begin, range.size};
}

void Memory::fill() {
  DS4_CHECK(!filled_);
  if (::mprotect(base_, size_, PROT_READ | PROT_WRITE) != 0) refuse(size_, "take");
  ::madvise(base_, size_, MADV_HUGEPAGE);  // only speed depends on it
  std::vector<std::pair<const Range*, int64_t>> blocks;
  for (const Range& range : ranges_) {
    for (int64_t at = 0; at < static_cast<int64_t>(range.size); at += kBlock) {
      blocks.emplace_back(&range, at);
    }
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < blocks.size(); i = next++) {
      const auto& [range, at] = blocks[i];
      const size_t size =
          std::min(static_cast<size_t>(kBlock), range->size - static_cast<size_t>(at));
      generate(range->recipe, at, {base_ + range->begin + at, size});
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < usable_processors(); ++i) helpers.emplace_back(work);
    work();
  }
  filled_ = true;
}

}  // namespace ds4::weights::synthetic
