#include "reports/figures/cell_facts.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

// The value at a place, or nullptr.
const json* at(const json& settings, const char* pointer) {
  const json::json_pointer place(pointer);
  return settings.is_object() && settings.contains(place) ? &settings.at(place) : nullptr;
}

CellFacts read(const CellRow& cell) {
  const json settings = json::parse(cell.settings, nullptr, false);
  CellFacts facts;
  if (const json* value = at(settings, "/profile/sampling/temperature")) {
    facts.greedy = value->is_number() && value->get<double>() == 0;
  }
  if (const json* value = at(settings, "/profile/engine/context_length")) {
    facts.context_length = value->get<int64_t>();
  }
  const json* checkpoint = at(settings, "/profile/checkpoint");
  facts.checkpoint =
      checkpoint && checkpoint->is_string() ? checkpoint->get<std::string>() : cell.checkpoint_path;
  if (const json* value = at(settings, "/choice")) facts.choice = value->get<Choice>();
  return facts;
}

}  // namespace

const RunFacts& facts_of(const RunData& run) {
  if (run.facts && run.facts->cells.size() == run.cells.size()) return *run.facts;
  RunFacts facts;
  for (const CellRow& cell : run.cells) {
    facts.cells.push_back(read(cell));
    facts.several_checkpoints =
        facts.several_checkpoints || cell.checkpoint_path != run.cells.front().checkpoint_path;
  }
  run.facts = std::make_shared<const RunFacts>(std::move(facts));
  return *run.facts;
}

const CellFacts& facts_of(const RunData& run, const std::string& cell_key) {
  const CellRow* cell = run.cells.find(cell_key);
  DS4_CHECK(cell, cell_key);
  return facts_of(run).cells[static_cast<size_t>(cell - &run.cells.front())];
}

}  // namespace ds4::reports
