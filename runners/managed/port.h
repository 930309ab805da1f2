// TCP ports: whether somebody listens at one, and one where nobody does.
#pragma once

#include <string>

namespace ds4::runners::managed {

/// "http://127.0.0.1:8000" taken apart; the port of the scheme where none is named.
struct HostPort {
  std::string host, port;
};
HostPort host_port_of(const std::string& origin);

/// Whether a connection is taken there within `patience_s`.
bool somebody_listens(const HostPort& at, double patience_s);

/// A port of 127.0.0.1 that nobody has now. Throws Error(kMachine).
std::string free_port();

}  // namespace ds4::runners::managed
