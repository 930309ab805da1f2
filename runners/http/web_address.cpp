#include "runners/http/web_address.h"

#include <algorithm>

namespace ds4::runners::http {
namespace {

bool all_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '\\';
  });
}

}  // namespace

std::optional<WebAddress> parse_web_address(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const size_t scheme = url.find("://");
  const std::string_view name = url.substr(0, scheme);
  if ((name != "http" && name != "https") || !all_printable(url)) return std::nullopt;
  const size_t host = scheme + 3;
  const size_t path = std::min(url.find_first_of("/?", host), url.size());
  const std::string_view authority = url.substr(host, path - host);
  if (authority.empty() || authority.front() == ':' ||
      authority.find('@') != std::string_view::npos) {
    return std::nullopt;
  }
  WebAddress address{std::string(url.substr(0, path)), std::string(url.substr(path))};
  if (!address.path.starts_with('/')) address.path.insert(0, 1, '/');
  return address;
}

std::optional<WebAddress> redirected(const WebAddress& at, std::string_view location) {
  if (location.empty()) return std::nullopt;
  const std::string_view scheme = std::string_view(at.origin).substr(0, at.origin.find("://"));
  std::string url;
  if (location.substr(0, location.find_first_of("/?#")).find(':') != std::string_view::npos) {
    url = location;
  } else if (location.starts_with("//")) {
    url = std::string(scheme) + ":" + std::string(location);
  } else if (location.starts_with('/')) {
    url = at.origin + std::string(location);
  } else {
    const std::string path = at.path.substr(0, at.path.find('?'));
    url = at.origin + path.substr(0, location.starts_with('?') ? path.size() : path.rfind('/') + 1);
    url += location;
  }
  std::optional<WebAddress> to = parse_web_address(url);
  if (to && scheme == "https" && !to->origin.starts_with("https:")) return std::nullopt;
  return to;
}

}  // namespace ds4::runners::http
