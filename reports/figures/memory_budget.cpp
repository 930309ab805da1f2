#include "reports/figures/memory_budget.h"

#include <nlohmann/json.hpp>

#include "reports/figures/figure.h"
#include "reports/figures/machine.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

std::optional<double> number_at(const json& object, const char* pointer) {
  const json::json_pointer place(pointer);
  if (!object.is_object() || !object.contains(place) || !object.at(place).is_number()) return {};
  return object.at(place).get<double>();
}

}  // namespace

std::optional<MemoryBudget> memory_budget(const RunData& run, const CellRow& cell) {
  MemoryBudget budget;
  const auto of_gpu = launch_values(run, cell.key, "device_capacity");
  if (!of_gpu.empty()) {
    budget.capacity = of_gpu.begin()->second;
    budget.of_gpu = true;
  } else if (const auto bytes = read_machine(run.run.machine).memory_bytes) {
    budget.capacity = *bytes;
  } else {
    return std::nullopt;
  }
  const auto settings = json::parse(cell.settings, nullptr, false);
  budget.floor = number_at(settings, "/profile/guard/floor");
  if (!budget.floor) budget.floor = number_at(settings, "/profile/memory_floor");
  return budget;
}

}  // namespace ds4::reports
