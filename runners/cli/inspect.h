// A checkpoint's inventory as text for people and as JSON for programs. Formatting only.
#pragma once

#include <string>

#include "engine/api/inventory.h"

namespace ds4::cli {

/// Aligned tables without a final newline: totals, components, dtypes, cache sizes.
std::string inspect_text(const Inventory& inventory);

/// One JSON object, `"format": "ds4-inventory-1"`; keys as in Inventory, sizes in bytes.
std::string inspect_json(const Inventory& inventory);

}  // namespace ds4::cli
