#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>

#include "engine/base/check.h"

namespace ds4::test_support {
namespace {

// The request on a connection; false when the client left first.
bool read_request(int fd, HttpRequest& request) {
  std::string text;
  std::array<char, 16384> bytes;
  size_t head_end = std::string::npos, length = 0;
  while (head_end == std::string::npos || text.size() < head_end + 4 + length) {
    const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (n <= 0) return false;
    text.append(bytes.data(), static_cast<size_t>(n));
    if (head_end != std::string::npos) continue;
    head_end = text.find("\r\n\r\n");
    if (head_end == std::string::npos) continue;
    size_t line = text.find("\r\n");
    const std::string first = text.substr(0, line);
    request.method = first.substr(0, first.find(' '));
    request.path = first.substr(request.method.size() + 1);
    request.path.resize(request.path.find(' '));
    while (line < head_end) {
      const size_t begin = line + 2, end = text.find("\r\n", begin);
      const size_t colon = text.find(':', begin);
      std::string name = text.substr(begin, colon - begin);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      const size_t value = text.find_first_not_of(' ', colon + 1);
      request.headers[name] = text.substr(value, end - value);
      line = end;
    }
    if (request.headers.contains("content-length")) {
      length = std::stoul(request.headers["content-length"]);
    }
  }
  request.body = text.substr(head_end + 4);
  return true;
}

}  // namespace

bool HttpConnection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool HttpConnection::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (closing_) return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd watched{fd_, POLLIN, 0};
    ::poll(&watched, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 1, 10)));
    std::array<char, 1> byte;
    if ((watched.revents & (POLLIN | POLLHUP | POLLERR)) &&
        ::recv(fd_, byte.data(), 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
      return false;
    }
  }
  return !closing_;
}

void HttpConnection::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void HttpConnection::reply(int status, std::string_view type, std::string_view body) {
  write("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + std::string(type) +
        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
        std::string(body));
}

void HttpConnection::begin(std::string_view type) {
  write("HTTP/1.1 200 OK\r\nContent-Type: " + std::string(type) +
        "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

bool HttpConnection::chunk(std::string_view bytes) {
  std::array<char, 32> size;
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return write(std::string(size.data()) + std::string(bytes) + "\r\n");
}

void HttpConnection::end() {
  write("0\r\n\r\n");
}

HttpServer::HttpServer(Handler handler, int port) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  DS4_CHECK(listener_ >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  socklen_t size = sizeof address;
  DS4_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  DS4_CHECK(::listen(listener_, 64) == 0);
  DS4_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

HttpServer::~HttpServer() {
  closing_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (std::thread& thread : threads_) thread.join();
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::set_handler(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void HttpServer::accept_all() {
  while (!closing_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    timeval second{1, 0};  // so that a client that says nothing holds no thread
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void HttpServer::serve(int fd) {
  HttpRequest request;
  if (read_request(fd, request)) {
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      handler = handler_;
    }
    const int now = ++at_once_;
    for (int most = most_at_once_; now > most && !most_at_once_.compare_exchange_weak(most, now);) {
    }
    HttpConnection connection(fd, closing_);
    handler(request, connection);
    --at_once_;
  }
  ::close(fd);
}

}  // namespace ds4::test_support
