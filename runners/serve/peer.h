// Whether a client is still at the other end of its connection.
#pragma once

#include <string>

namespace ds4::runners::serve {

/// A connection of this process, known by its two ends.
class Peer {
 public:
  /// The ends as httplib::Request tells them; the library does not tell the socket itself.
  Peer(const std::string& remote_address, int remote_port, const std::string& local_address,
       int local_port);
  /// True when the client has closed the connection or said that nothing more comes from it, or
  /// the connection broke. A question to the system; waits for nothing.
  bool gone() const;

 private:
  int socket_ = -1;  // borrowed: open as long as its request is being answered
};

}  // namespace ds4::runners::serve
