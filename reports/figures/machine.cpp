#include "reports/figures/machine.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace ds4::reports {
namespace {

using nlohmann::json;

// A text, or those of lists however deep: a joined run lists what differs between its machines.
void add_texts(const json& value, std::vector<std::string>& texts) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) texts.push_back(value);
  if (!value.is_array()) return;
  for (const json& part : value) add_texts(part, texts);
}

}  // namespace

Machine read_machine(const std::string& machine) {
  const json all = json::parse(machine, nullptr, false);
  Machine read;
  if (!all.is_object()) return read;
  add_texts(all.value("cpu", json()), read.cpus);
  add_texts(all.value("gpus", json()), read.gpus);
  add_texts(all.value("kernel", json()), read.kernels);
  add_texts(all.value("gpu_driver", json()), read.gpu_drivers);
  const auto bytes = all.find("memory_bytes");
  if (bytes != all.end() && bytes->is_number()) read.memory_bytes = bytes->get<double>();
  return read;
}

std::string machine_kind(const std::string& machine) {
  const json all = json::parse(machine, nullptr, false);
  if (!all.is_object()) return machine;
  json kind;
  for (const char* key : {"cpu", "threads", "gpus"}) kind[key] = all.value(key, json());
  // What a kernel keeps for itself differs by megabytes.
  if (const auto bytes = read_machine(machine).memory_bytes) {
    kind["memory_gib"] = std::llround(*bytes / (1 << 30));
  }
  return kind.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ds4::reports
