// A container by its id: the process that is number 1 inside, found through /proc alone.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

namespace ds4::runners::guard {

/// The process outside that is number 1 of a container's own process namespace; when it is killed
/// the kernel ends every process of the container. `id`: 12 to 64 hexadecimal digits, as `docker
/// ps` and `podman ps` print them. Throws Error(kUsage): no id, none running, several that begin
/// so, or a container that shares the machine's process numbers.
pid_t container_init(std::string_view id, const std::filesystem::path& proc = "/proc");

}  // namespace ds4::runners::guard
