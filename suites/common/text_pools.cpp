// Template expansion over the embedded word lists.
#include "suites/common/text_pools.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"

namespace ds4::suites {

extern const std::string_view words_json;

namespace {

constexpr std::string_view kCodeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

int64_t to_integer(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  DS4_CHECK(error == std::errc() && end == digits.data() + digits.size(), std::string(digits));
  return value;
}

std::string fill_slot(std::string_view slot, const Bindings& bound, Rng& rng) {
  if (const auto value = bound.find(slot); value != bound.end()) return value->second;
  if (slot.starts_with("code:")) return random_code(rng, to_integer(slot.substr(5)));
  if (const size_t dots = slot.find(".."); dots != slot.npos) {
    return std::to_string(
        rng.between(to_integer(slot.substr(0, dots)), to_integer(slot.substr(dots + 2))));
  }
  return rng.pick(words(slot));
}

std::string random_characters(Rng& rng, int64_t length, std::string_view alphabet) {
  std::string out;
  for (int64_t i = 0; i < length; ++i) out += alphabet[rng.below(alphabet.size())];
  return out;
}

}  // namespace

const Pools& word_pools() {
  static const Pools pools = nlohmann::json::parse(words_json).get<Pools>();
  return pools;
}

const std::vector<std::string>& words(std::string_view pool) {
  const auto found = word_pools().find(pool);
  DS4_CHECK(found != word_pools().end(), "word list " + std::string(pool));
  return found->second;
}

std::string fill_template(std::string_view pattern, const Bindings& bound, Rng& rng) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{' && c != '}') {
      out += c;
    } else if (i + 1 < pattern.size() && pattern[i + 1] == c) {
      out += c;
      ++i;
    } else {
      const size_t end = pattern.find('}', i);
      DS4_CHECK(c == '{' && end != pattern.npos, std::string(pattern));
      out += fill_slot(pattern.substr(i + 1, end - i - 1), bound, rng);
      i = end;
    }
  }
  return out;
}

std::string random_code(Rng& rng, int64_t length) {
  return random_characters(rng, length, kCodeAlphabet);
}

std::string random_digits(Rng& rng, int64_t length) {
  return random_characters(rng, length, "0123456789");
}

}  // namespace ds4::suites
