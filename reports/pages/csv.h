// Fields and records of CSV, as RFC 4180 writes them, for programs and for spreadsheets.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::reports {

/// A field of text: quoted where it has to be. What a spreadsheet would take for a formula (= + - @
/// in front, also behind blanks) begins with an apostrophe instead, and nothing in it acts
/// (clean_text()).
std::string csv_text(std::string_view text);

/// A number with as many digits as it has; "" without a value.
std::string csv_number(std::optional<double> value);

/// Fields joined to a record, with its line end (CR LF).
std::string csv_record(const std::vector<std::string>& fields);

}  // namespace ds4::reports
