// The texts table: every distinct byte string once, by its sha256, compressed when that saves
// space.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "reports/store/database.h"

namespace ds4::reports {

/// The id of `text`, stored now unless it was before. Call inside a transaction.
int64_t intern_text(Database& database, std::string_view text);

/// The bytes of a stored text. Throws Error(kIo) when they are damaged (length or sha256 differ).
std::string load_text(Database& database, int64_t id);

}  // namespace ds4::reports
