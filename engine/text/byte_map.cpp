#include "engine/text/byte_map.h"

#include "engine/base/utf8.h"

namespace ds4::text {
namespace {

constexpr uint32_t kFirstStandIn = 0x100;
constexpr uint32_t kStandIns = 68;

struct Tables {
  std::array<std::string, 256> symbol;
  std::array<int16_t, kFirstStandIn + kStandIns> byte;  // by code point; -1: no stand-in
};

// Printable Latin-1 characters stand for themselves (soft hyphen, 173, is not printable).
constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

const Tables& tables() {
  static const Tables built = [] {
    Tables t;
    t.byte.fill(-1);
    uint32_t next = kFirstStandIn;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t code_point = stands_for_itself(byte) ? byte : next++;
      append_utf8(t.symbol[byte], code_point);
      t.byte[code_point] = static_cast<int16_t>(byte);
    }
    return t;
  }();
  return built;
}

}  // namespace

const std::string& byte_symbol(uint8_t byte) {
  return tables().symbol[byte];
}

std::optional<std::string> bytes_of_symbols(std::string_view token) {
  const Tables& t = tables();
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t at = 0; at < token.size();) {
    // Stand-ins end at U+0143: one or two bytes of UTF-8.
    const auto lead = static_cast<uint8_t>(token[at]);
    uint32_t code_point = lead;
    size_t length = 1;
    if (lead >= 0x80) {
      if (lead < 0xC2 || lead > 0xDF || at + 1 == token.size()) return std::nullopt;
      const auto second = static_cast<uint8_t>(token[at + 1]);
      code_point = (uint32_t{lead} & 0x1F) << 6 | (uint32_t{second} & 0x3F);
      length = 2;
    }
    if (code_point >= t.byte.size() || t.byte[code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(t.byte[code_point]));
    at += length;
  }
  return bytes;
}

}  // namespace ds4::text
