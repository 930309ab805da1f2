// Which designs exist for which weights, and how each wants its activations.
#include "gemv.hpp"

namespace ds4::bench {

bool exists(Format format, bool quantised_x, const Variant& variant) {
  if (variant.design == Design::kFma) return variant.layout == Layout::kNative;
  switch (format) {
    case Format::kFp8:
      if (variant.design == Design::kPrescale) return false;
      if (variant.layout != Layout::kNative && variant.layout != Layout::kUnits) return false;
      return variant.design != Design::kE4m3 || quantised_x;
    case Format::kFp4:
      if (variant.design == Design::kPrescale) return variant.layout == Layout::kNative;
      if (variant.layout == Layout::kPlanes) return variant.design == Design::kBits;
      return variant.layout == Layout::kWords && variant.design != Design::kCvt;
    case Format::kBf16:
      return variant.design == Design::kBits &&
             (variant.layout == Layout::kNative || variant.layout == Layout::kUnits);
  }
  return false;
}

XOrder x_order(Format format, bool quantised_x, const Variant& variant) {
  using Type = XOrder::Type;
  using Order = XOrder::Order;
  if (variant.design == Design::kFma) {
    return {quantised_x ? Type::kF16 : Type::kBf16, Order::kNatural};
  }
  if (format == Format::kBf16) return {Type::kBf16, Order::kBf16};
  if (format == Format::kFp4) {
    if (variant.design == Design::kPrescale) return {Type::kBf16, Order::kFp4};
    if (variant.design == Design::kE4m3) return {Type::kE4m3, Order::kFp4WordsE4m3};
    return {Type::kF16, Order::kFp4Words};
  }
  if (variant.design == Design::kE4m3) return {Type::kE4m3, Order::kFp8};
  const bool even_odd = variant.design == Design::kBits;
  const Order order = even_odd ? Order::kFp8EvenOdd : Order::kFp8;
  if (quantised_x) return {Type::kF16, order};
  return {even_odd ? Type::kBf16Biased : Type::kBf16, order};
}

}  // namespace ds4::bench
