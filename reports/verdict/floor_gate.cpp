#include "reports/verdict/floor_gate.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "reports/figures/machine.h"

namespace ds4::reports {
namespace {

Error unreadable(const RunData& run, const std::string& why) {
  return {ErrorCode::kIo, "what is stored of run " + run.run.id + " cannot be read: " + why,
          "The database was changed after it was written; restore it from a copy."};
}

}  // namespace

Gate gate_at_floor(const Gate& gate, const RunData& run, const CellRow& cell) {
  DS4_CHECK(gate.floor.has_value());
  const Selection whole{cell.key, "", {}};
  Gate bound = gate;
  try {
    const auto settings = nlohmann::json::parse(cell.settings);
    const auto profile = settings.value("profile", nlohmann::json::object());
    const double floor = profile.value("memory_floor", *gate.floor);
    const auto engine = profile.value("engine", nlohmann::json::object());
    const auto capacity = metric_figure(run, whole, "device_capacity");
    // Every worker that got as far as answering tells what it took of its GPU: without that nothing
    // is known of a cell whose work is there.
    const bool on_gpu = engine.value("device", "cpu") == "cuda";
    if (capacity || (on_gpu && !metric_figure(run, whole, "device_memory"))) {
      bound.figure = "device_memory";
      bound.max = capacity ? (*capacity)->value.value_or(0) - floor : 0;
    } else {
      bound.figure = "peak_machine_memory";
      const auto bytes = read_machine(run.run.machine).memory_bytes;
      if (!bytes) throw unreadable(run, "the machine's memory is not told");
      bound.max = *bytes - floor;
    }
  } catch (const nlohmann::json::exception& e) {
    throw unreadable(run, e.what());
  }
  return bound;
}

}  // namespace ds4::reports
