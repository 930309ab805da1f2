// One gate held against one cell. The rule is written out in docs/method.md.
#pragma once

#include <string>

#include "reports/verdict/verdict.h"

namespace ds4::reports {

/// `status` is the cell's, `suite` the one to judge, "" = the whole cell. Always gives a reason.
GateResult judge_gate(const RunData& run, const CellRow& cell, const CellStatus& status,
                      const Gate& gate, const std::string& suite);

}  // namespace ds4::reports
