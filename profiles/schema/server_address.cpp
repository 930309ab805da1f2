#include "profiles/schema/server_address.h"

#include <algorithm>

#include "engine/base/error.h"

namespace ds4::profiles {
namespace {

[[noreturn]] void refuse(std::string_view url, const char* why) {
  throw Error(ErrorCode::kProfile, "`server.url` \"" + std::string(url) + "\" " + why,
              "Write it as http://HOST:PORT/v1 or https://HOST/v1.");
}

}  // namespace

ServerAddress parse_server_address(std::string_view url) {
  const size_t scheme = url.find("://");
  const std::string_view name = url.substr(0, scheme);
  if (name != "http" && name != "https") refuse(url, "is no http or https address");
  const bool plain = std::all_of(url.begin(), url.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '\\';
  });
  if (!plain) refuse(url, "holds characters that no address has");
  const size_t host = scheme + 3;
  const size_t path = std::min(url.find('/', host), url.size());
  const std::string_view authority = url.substr(host, path - host);
  if (authority.empty() || authority.front() == ':') refuse(url, "names no host");
  if (authority.find('@') != std::string_view::npos) {
    throw Error(ErrorCode::kProfile, "`server.url` holds a user or a password",
                "Name an environment variable that holds the key in `server.api_key_env`.");
  }
  if (url.find_first_of("?#", host) != std::string_view::npos) refuse(url, "holds a query");
  ServerAddress address;
  address.origin = url.substr(0, path);
  address.base = url.substr(path);
  while (address.base.ends_with('/')) address.base.pop_back();
  if (address.base.empty()) address.base = "/v1";
  address.root = address.base;
  if (address.root.ends_with("/v1")) address.root.resize(address.root.size() - 3);
  return address;
}

}  // namespace ds4::profiles
