// A list of checks as JUnit XML, in the form that CI systems read: testsuites, testsuite, testcase.
#include <algorithm>
#include <cstdio>

#include "reports/pages/checks.h"
#include "reports/pages/escape.h"

namespace ds4::reports {
namespace {

// An attribute: a line break in one would be read as a space.
std::string attribute(const char* name, const std::string& text) {
  return std::string(" ") + name + "=\"" + escape_xml(clean_line(text)) + "\"";
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string counts(const CheckList& list) {
  const auto count = [&](Decision decision) {
    return std::to_string(
        std::count_if(list.checks.begin(), list.checks.end(),
                      [&](const Check& check) { return check.decision == decision; }));
  };
  double total = 0;
  for (const Check& check : list.checks) total += check.seconds;
  return attribute("tests", std::to_string(list.checks.size())) +
         attribute("failures", count(Decision::kFail)) +
         attribute("errors", count(Decision::kInconclusive)) + attribute("time", seconds(total));
}

std::string test_case(const CheckList& list, const Check& check) {
  const std::string group = check.group.empty() ? list.name : list.name + "." + check.group;
  std::string out = "    <testcase" + attribute("classname", group) +
                    attribute("name", check.name) + attribute("time", seconds(check.seconds));
  if (check.decision == Decision::kPass) return out + "/>\n";
  const bool failed = check.decision == Decision::kFail;
  const std::string element = failed ? "failure" : "error";
  out += ">\n      <" + element + attribute("message", check.message) +
         attribute("type", failed ? "broken" : "inconclusive") + ">";
  out += escape_xml(check.message + (check.detail.empty() ? "" : "\n\n" + check.detail));
  return out + "</" + element + ">\n    </testcase>\n";
}

}  // namespace

std::string render_junit(const CheckList& list) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" +
                    attribute("name", "ds4-sweep") + counts(list) + ">\n  <testsuite" +
                    attribute("name", list.name) + counts(list) +
                    attribute("timestamp", list.started_at) + ">\n";
  for (const Check& check : list.checks) out += test_case(list, check);
  if (!list.output.empty()) {
    out += "    <system-out>" + escape_xml(list.output) + "</system-out>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace ds4::reports
