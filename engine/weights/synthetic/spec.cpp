#include "engine/weights/synthetic/spec.h"

#include <charconv>

#include "engine/base/error.h"

namespace ds4::weights::synthetic {
namespace {

constexpr int kMinExperts = 6;
constexpr int kMaxExperts = 256;
constexpr int kMaxLayers = 43;

[[noreturn]] void fail(std::string_view name, const std::string& what) {
  throw Error(ErrorCode::kUsage, "checkpoint `" + std::string(name) + "`: " + what,
              "Synthetic checkpoints are named synthetic:kN[:layers=M][:seed=S][:shape=micro], "
              "for example synthetic:k160:layers=2.");
}

template <typename Number>
Number number(std::string_view name, const char* what, std::string_view digits, Number low,
              Number high) {
  Number value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < low || value > high) {
    fail(name, std::string(what) + " is `" + std::string(digits) + "`; " + std::to_string(low) +
                   " to " + std::to_string(high) + " work");
  }
  return value;
}

}  // namespace

std::string Spec::name() const {
  std::string text = std::string(kScheme) + "k" + std::to_string(n_experts);
  if (n_layers != kMaxLayers) text += ":layers=" + std::to_string(n_layers);
  if (seed != 0) text += ":seed=" + std::to_string(seed);
  if (shape == Shape::kMicro) text += ":shape=micro";
  return text;
}

Spec parse_spec(std::string_view name) {
  Spec spec;
  std::string_view rest = name;
  if (!rest.starts_with(kScheme)) fail(name, "does not begin with `synthetic:`");
  rest.remove_prefix(kScheme.size());
  bool first = true;
  while (first || !rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    std::string_view part = rest.substr(0, colon);
    rest.remove_prefix(std::min(colon + 1, rest.size()));
    const auto take = [&](std::string_view key) {
      const bool fits = part.starts_with(key);
      if (fits) part.remove_prefix(key.size());
      return fits;
    };
    if (first) {
      if (!take("k")) fail(name, "the number of experts must come first, as in k160");
      spec.n_experts = number(name, "the number of experts", part, kMinExperts, kMaxExperts);
    } else if (take("layers=")) {
      spec.n_layers = number(name, "layers", part, 1, kMaxLayers);
    } else if (take("seed=")) {
      spec.seed = number<uint64_t>(name, "seed", part, 0, UINT64_MAX);
    } else if (part == "shape=micro") {
      spec.shape = Shape::kMicro;
    } else {
      fail(name, "`" + std::string(part) + "` is unknown");
    }
    first = false;
  }
  return spec;
}

}  // namespace ds4::weights::synthetic
