#include "suites/gsm8k/draw.h"

#include <algorithm>
#include <array>
#include <bit>

namespace ds4::suites {
namespace {

// MT19937 (Matsumoto and Nishimura 1998) seeded by an array of one word, as Python seeds with a
// number; std::mt19937 cannot be seeded so.
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed) {
    state_[0] = 19650218;
    for (uint32_t i = 1; i < kWords; ++i) state_[i] = 1812433253 * mixed(i) + i;
    uint32_t i = 1;
    for (uint32_t k = 0; k < kWords; ++k) {
      state_[i] = (state_[i] ^ (mixed(i) * 1664525)) + seed;
      i = next_place(i);
    }
    for (uint32_t k = 1; k < kWords; ++k) {
      state_[i] = (state_[i] ^ (mixed(i) * 1566083941)) - i;
      i = next_place(i);
    }
    state_[0] = 0x80000000;
  }

  // Python's _randbelow: as many bits as n has, drawn again until they are below n.
  uint32_t below(uint32_t n) {
    const int bits = std::bit_width(n);
    uint32_t value = n;
    while (value >= n) value = word() >> (32 - bits);
    return value;
  }

 private:
  static constexpr uint32_t kWords = 624;
  static constexpr uint32_t kShift = 397;

  uint32_t mixed(uint32_t i) const { return state_[i - 1] ^ (state_[i - 1] >> 30); }

  uint32_t next_place(uint32_t i) {
    if (i + 1 < kWords) return i + 1;
    state_[0] = state_[kWords - 1];
    return 1;
  }

  uint32_t word() {
    if (used_ == kWords) refill();
    uint32_t y = state_[used_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680;
    y ^= (y << 15) & 0xEFC60000;
    return y ^ (y >> 18);
  }

  void refill() {
    for (uint32_t i = 0; i < kWords; ++i) {
      const uint32_t y = (state_[i] & 0x80000000) | (state_[(i + 1) % kWords] & 0x7FFFFFFF);
      state_[i] = state_[(i + kShift) % kWords] ^ (y >> 1) ^ ((y & 1) ? 0x9908B0DF : 0);
    }
    used_ = 0;
  }

  std::array<uint32_t, kWords> state_{};
  uint32_t used_ = kWords;
};

}  // namespace

std::vector<int64_t> draw_shots(uint32_t seed, int64_t population, int64_t shots, int64_t item) {
  PythonRandom random(seed);
  std::vector<int64_t> drawn;
  for (int64_t i = 0; i <= item; ++i) {
    drawn.clear();
    while (static_cast<int64_t>(drawn.size()) < shots) {
      const int64_t next = random.below(static_cast<uint32_t>(population));
      if (std::ranges::find(drawn, next) == drawn.end()) drawn.push_back(next);
    }
  }
  return drawn;
}

}  // namespace ds4::suites
