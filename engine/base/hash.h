// SHA-256, the one hash of the project: cell keys, checkpoint identities, stored prompts,
// downloads.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace ds4 {

/// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256& update(std::string_view bytes);
  /// 64 lower-case hexadecimal digits; call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 of a byte string as 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

/// SHA-256 of a byte string in base64 (RFC 4648), as a content security policy names a script.
std::string sha256_base64(std::string_view bytes);

}  // namespace ds4
