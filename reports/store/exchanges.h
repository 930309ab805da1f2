// The turns after the first one of an attempt, as they are stored.
#pragma once

#include <cstdint>
#include <vector>

#include "reports/store/database.h"
#include "reports/store/store.h"

namespace ds4::reports {

/// Stores them in order. Call inside a transaction.
void insert_exchanges(Database& database, int64_t attempt_id, const std::vector<ExchangeRow>& rows);

/// In order, with their texts. Throws Error(kIo) when they are damaged.
std::vector<ExchangeRow> load_exchanges(Database& database, int64_t attempt_id);

}  // namespace ds4::reports
