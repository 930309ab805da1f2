// Where a server is, taken apart and checked: "https://host:8443/prefix/v1".
#pragma once

#include <string>
#include <string_view>

namespace ds4::profiles {

struct ServerAddress {
  std::string origin;  // "http://host:8000"
  std::string base;    // of the OpenAI protocol, "/v1"; begins with a slash, ends without one
  std::string root;    // base without a last "/v1": where /health and /tokenize are; may be ""
};

/// Takes an address as clients of the protocol write it; without any path "/v1" is meant. Throws
/// Error(kProfile) for another scheme, a name or password in it (a key belongs in the environment),
/// a query, or characters that no address has.
ServerAddress parse_server_address(std::string_view url);

}  // namespace ds4::profiles
