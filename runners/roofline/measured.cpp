// add_measured() of roofline.h.
#include <cmath>

#include "engine/api/inventory.h"
#include "profiles/schema/plan.h"
#include "reports/figures/figure.h"
#include "reports/figures/machine.h"
#include "reports/figures/run_data.h"
#include "runners/machine.h"
#include "runners/roofline/roofline.h"

namespace ds4::runners {
namespace {

constexpr double kSameLength = 0.1;

bool comparable(const reports::CellRow& cell, const std::string& identity,
                const std::string& device) {
  if (cell.checkpoint_identity != identity) return false;
  const profiles::Cell settings = profiles::cell_from_json(cell.settings);
  return settings.profile.engine.device == device && settings.profile.engine.draft_tokens == 0 &&
         settings.profile.engine.sequences == 1;
}

std::optional<Measured> measured(const reports::RunData& run, const std::string& cell_key,
                                 const char* metric) {
  const auto figure = reports::make_figure(run, {cell_key, "", {}}, metric);
  if (!figure || !(*figure)->value) return std::nullopt;
  return Measured{*(*figure)->value, (*figure)->n, run.run.id};
}

}  // namespace

void add_measured(reports::Store& store, const std::filesystem::path& checkpoint,
                  const std::string& device, Roofline& roofline) {
  const std::string identity = take_inventory(checkpoint).identity;
  const std::string here = reports::machine_kind(describe_machine());
  for (const reports::RunRow& run : store.runs()) {  // newest first
    if (reports::machine_kind(run.machine) != here) continue;
    std::vector<std::string> cells;
    for (const reports::CellRow& cell : store.cells(run.id)) {
      if (comparable(cell, identity, device)) cells.push_back(cell.key);
    }
    if (cells.empty()) continue;
    const reports::RunData all = reports::load_run(store, run.id, false);
    for (RooflineRow& row : roofline.rows) {
      const auto wanted = static_cast<double>(row.context);
      reports::RunData near{all.run, all.cells, all.launches, all.launch_samples, {}};
      for (const reports::StoredAttempt& attempt : all.attempts) {
        if (std::abs(static_cast<double>(attempt.prompt_tokens) - wanted) <= kSameLength * wanted) {
          near.attempts.push_back(attempt);
        }
      }
      for (const std::string& cell : cells) {
        if (!row.decoded) row.decoded = measured(near, cell, "decode_rate");
        if (!row.prefilled) row.prefilled = measured(near, cell, "prefill_rate");
      }
    }
  }
}

}  // namespace ds4::runners
