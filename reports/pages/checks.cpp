#include "reports/pages/checks.h"

#include <algorithm>

#include "reports/pages/escape.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxItems = 20;        // answers that are not correct, in the output
constexpr size_t kMaxPartBytes = 1000;  // of each text of theirs

Check cell_check(const Page& page, const CellRow& cell, const CellStatus& status) {
  Check check;
  check.group = cell.label;
  check.name = "measured";
  check.seconds = status.seconds;
  check.message = std::to_string(status.n_ok) + " of " + std::to_string(status.n_planned) +
                  " cases answered; " + status.outcome;
  if (status.complete()) return check;
  check.decision = status.failed() ? Decision::kFail : Decision::kInconclusive;
  if (!status.phase.empty()) check.message += " (" + status.phase + ")";
  if (!status.message.empty()) check.message += ": " + status.message;
  for (const LaunchRow& launch : page.launches) {
    if (launch.cell_key == cell.key) check.detail = launch.log_tail;  // of the newest
  }
  return check;
}

// The answers that are not correct, as far as the page opens them.
std::string wrong_answers(const Page& page) {
  std::string out;
  size_t n = 0;
  for (const Section& section : page.sections) {
    if (section.id != "quality") continue;
    for (const Item& item : section.items) {
      if (item.tone == Tone::kGood || ++n > kMaxItems) continue;
      out += item.title + "\n";
      for (const Item::Part& part : item.parts) {
        if (part.label == "prompt") continue;
        out += "  " + part.label + ": " + head_and_tail(part.text, kMaxPartBytes) + "\n";
      }
    }
  }
  return out;
}

}  // namespace

CheckList checks_of(const Page& page) {
  CheckList list{page.run.profile_name, page.run.started_at, {}, wrong_answers(page)};
  for (const GateResult& gate : page.verdict.gates) {
    Check check;
    check.group = gate.cell_label;
    check.name = (gate.suite.empty() ? "" : gate.suite + " ") + gate_name(gate.gate) +
                 (gate.bound.empty() ? "" : " " + gate.bound);
    check.decision = gate.decision;
    check.message = gate.reason;
    list.checks.push_back(std::move(check));
  }
  for (size_t i = 0; i < page.cells.size(); ++i) {
    list.checks.push_back(cell_check(page, page.cells[i], page.statuses[i]));
  }
  return list;
}

}  // namespace ds4::reports
