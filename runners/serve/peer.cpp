#include "runners/serve/peer.h"

#include <dirent.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>

namespace ds4::runners::serve {
namespace {

// Whether one end of a socket (getpeername or getsockname) is this address and port.
bool is_end(int socket, int (*end_of)(int, sockaddr*, socklen_t*), const std::string& address,
            int port) {
  sockaddr_storage end{};
  socklen_t size = sizeof end;
  if (end_of(socket, reinterpret_cast<sockaddr*>(&end), &size) != 0) return false;
  char host[NI_MAXHOST], service[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&end), size, host, sizeof host, service,
                    sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return false;
  }
  return address == host && port == std::atoi(service);
}

}  // namespace

Peer::Peer(const std::string& remote_address, int remote_port, const std::string& local_address,
           int local_port) {
  DIR* folder = ::opendir("/proc/self/fd");
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || !is_end(fd, ::getpeername, remote_address, remote_port) ||
        !is_end(fd, ::getsockname, local_address, local_port)) {
      continue;
    }
    socket_ = fd;
    break;
  }
  ::closedir(folder);
}

bool Peer::gone() const {
  if (socket_ < 0) return true;  // it was gone before it could be found
  pollfd asked{socket_, POLLIN | POLLRDHUP, 0};
  if (::poll(&asked, 1, 0) < 1) return false;
  if ((asked.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL)) != 0) return true;
  char byte;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace ds4::runners::serve
