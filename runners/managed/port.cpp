#include "runners/managed/port.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "engine/base/error.h"

namespace ds4::runners::managed {
namespace {

bool connects(const addrinfo& address, int patience_ms) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool taken = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0;
  if (!taken && errno == EINPROGRESS) {
    pollfd ready{fd, POLLOUT, 0};
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (::poll(&ready, 1, patience_ms) == 1) ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    taken = error == 0;
  }
  ::close(fd);
  return taken;
}

}  // namespace

HostPort host_port_of(const std::string& origin) {
  const size_t begin = origin.find("://") + 3;
  const size_t colon = origin.rfind(':');
  const bool named = colon != origin.npos && colon >= begin && origin.back() != ']';
  HostPort at;
  at.host = origin.substr(begin, named ? colon - begin : origin.npos);
  at.port = named ? origin.substr(colon + 1) : origin.starts_with("https") ? "443" : "80";
  if (at.host.starts_with("[") && at.host.ends_with("]")) {
    at.host = at.host.substr(1, at.host.size() - 2);
  }
  return at;
}

bool somebody_listens(const HostPort& at, double patience_s) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &found) != 0) return false;
  bool listens = false;
  for (const addrinfo* address = found; address && !listens; address = address->ai_next) {
    listens = connects(*address, static_cast<int>(std::ceil(patience_s * 1000)));
  }
  ::freeaddrinfo(found);
  return listens;
}

std::string free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = fd >= 0 &&
                     ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const std::string why = bound ? "" : std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (!bound) {
    throw Error(ErrorCode::kMachine, "no free port of 127.0.0.1: " + why,
                "Name one in `server.url`.");
  }
  return std::to_string(ntohs(address.sin_port));
}

}  // namespace ds4::runners::managed
