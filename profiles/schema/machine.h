// Machine models: how much memory a kind of machine has, what is taken before an engine starts, and
// what must stay free. Files in profiles/machines/ are compiled in; docs/machines.md has the keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::profiles {

/// One memory, in bytes.
struct MemoryPool {
  int64_t total = 0;
  int64_t held = 0;   // by the system, the desktop and the driver, before an engine starts
  int64_t floor = 0;  // to keep free, whatever runs

  /// What an engine may take; negative where less than the floor is free.
  int64_t usable() const { return total - held - floor; }
};

struct Machine {
  std::string name;
  std::string description;
  /// GPU and processors share `memory`; then there is no `gpu`.
  bool unified = false;
  std::optional<MemoryPool> memory;  // the processors'
  std::optional<MemoryPool> gpu;     // a card's own
};

/// The text of a machine model. `origin` names it in messages. Throws Error(kProfile) naming the
/// line for unknown keys, values out of range, and a model without memory.
Machine parse_machine(std::string_view text, std::string_view origin);

/// Names of the models that are compiled in, sorted.
std::vector<std::string> machine_names();

/// A model by its name, or from a file when `name` ends in .toml. Throws Error(kUsage) for an
/// unknown name, Error(kIo) when the file cannot be read, and as parse_machine().
Machine load_machine(const std::string& name);

}  // namespace ds4::profiles
