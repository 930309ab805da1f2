// Where a thing lies on the web, taken apart, and where a redirection leads. For files to fetch;
// a server's address in a profile is stricter (profiles/schema/server_address.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds4::runners::http {

struct WebAddress {
  std::string origin;  // "https://host:8443"
  std::string path;    // "/a/b?c=d"; begins with a slash, without "#..."

  std::string text() const { return origin + path; }
  bool operator==(const WebAddress&) const = default;
};

/// None for another scheme than http and https, a user or password, no host, or characters that no
/// address has.
std::optional<WebAddress> parse_web_address(std::string_view url);

/// Where `location`, absolute or relative, leads from `at` (RFC 3986, section 5.2, without dot
/// segments, which servers resolve). None as above, and from https to http: what was agreed to be
/// unreadable on the way stays so.
std::optional<WebAddress> redirected(const WebAddress& at, std::string_view location);

}  // namespace ds4::runners::http
