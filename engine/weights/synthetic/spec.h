// The name of a synthetic checkpoint, taken apart:
// `synthetic:kN[:layers=M][:seed=S][:shape=micro]`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds4::weights::synthetic {

inline constexpr std::string_view kScheme = "synthetic:";

/// Which model the generated weights have the shape of. kMicro has every mechanism and layer kind
/// at sizes that tests can afford.
enum class Shape : uint8_t { kFlash, kMicro };

struct Spec {
  int n_experts = 160;  // routed experts of every layer and of mtp.0, 6 .. 256
  int n_layers = 43;    // the first n_layers of the 43, each of its true kind; mtp.0 comes on top
  uint64_t seed = 0;
  Shape shape = Shape::kFlash;

  /// The name with every part that is not the default, in the order above.
  std::string name() const;
};

/// Takes a name apart. Throws Error(kUsage) naming the part at fault.
Spec parse_spec(std::string_view name);

}  // namespace ds4::weights::synthetic
