// Counter-based random numbers: draw n is a pure function of (key, n), the same on every platform.
// For prompts only; sampling of tokens has its own generator in the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ds4::suites {

/// The finaliser of SplitMix64: a bijection that mixes every bit into every other.
constexpr uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A seed for everything random in the case `id` of a suite: FNV-1a of the names, mixed with the
/// seed parameter, so that it does not depend on which other cases are planned.
constexpr uint64_t case_seed(std::string_view suite, int64_t seed, std::string_view id) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (std::string_view part : {suite, std::string_view("/"), id}) {
    for (char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return mix64(hash + mix64(static_cast<uint64_t>(seed) + 0x9e3779b97f4a7c15ULL));
}

class Rng {
 public:
  explicit constexpr Rng(uint64_t key) : key_(key) {}

  /// A stream of its own, independent of how many draws were made here.
  constexpr Rng stream(uint64_t label) const { return Rng(mix64(key_ ^ mix64(label + 1))); }

  constexpr uint64_t next() { return mix64(key_ + ++count_ * 0x9e3779b97f4a7c15ULL); }

  /// Uniform in [0, bound), 0 < bound <= 2^32; unbiased by rejection.
  constexpr uint64_t below(uint64_t bound) {
    const uint64_t span = uint64_t{1} << 32;
    const uint64_t limit = span - span % bound;
    uint64_t draw = next() >> 32;
    while (draw >= limit) draw = next() >> 32;
    return draw % bound;
  }

  /// Uniform in [low, high], both included.
  constexpr int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }

  template <typename T>
  const T& pick(const std::vector<T>& items) {
    return items[below(items.size())];
  }

  /// `count` different items, in random order.
  template <typename T>
  std::vector<T> sample(std::vector<T> items, size_t count) {
    for (size_t i = 0; i < count; ++i) std::swap(items[i], items[i + below(items.size() - i)]);
    items.resize(count, items.front());
    return items;
  }

 private:
  uint64_t key_;
  uint64_t count_ = 0;
};

}  // namespace ds4::suites
