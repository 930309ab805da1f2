// Checks for CI systems: hostile texts in them, read back by a real XML parser where there is one
// (junit_parse.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/files.h"
#include "reports/pages/checks.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

// What a model, a log or a path may hold: markup, the end of a CDATA section, controls, bytes that
// are no UTF-8, and code points that XML 1.0 does not have.
const std::string kHostile =
    "</failure><![CDATA[ ]]> <!DOCTYPE x [<!ENTITY e \"boom\">]> &e; \"'<?pi?> "
    "\x01\x1b[31m\x7f\r\n\t"
    "\xff\xfe\xc3\x28 \xEF\xBF\xBE\xEF\xBF\xBF \xed\xa0\x80 \xF0\x9F\x98\x80 \xe2\x80\xae" +
    std::string(1, '\0') + "end";

CheckList hostile_list() {
  CheckList list{kHostile, "2026-01-01T00:00:00Z", {}, kHostile};
  list.checks = {{kHostile, kHostile, Decision::kPass, kHostile, kHostile, 1.5},
                 {kHostile, kHostile, Decision::kFail, kHostile, kHostile, 0},
                 {"", "open", Decision::kInconclusive, "why", "", 0.25}};
  return list;
}

TEST(Junit, CountsAndEscapes) {
  const std::string xml = render_junit(hostile_list());
  EXPECT_THAT(xml, HasSubstr("tests=\"3\" failures=\"1\" errors=\"1\" time=\"1.750\""));
  EXPECT_THAT(xml, HasSubstr("&lt;/failure&gt;&lt;![CDATA[ ]]&gt;"));
  EXPECT_THAT(xml, HasSubstr("type=\"inconclusive\">why</error>"));
  for (const char* bad :
       {"<![CDATA[", "<!DOCTYPE", "\x1b", "\xff", "\xEF\xBF\xBE", "\xed\xa0\x80"}) {
    EXPECT_THAT(xml, Not(HasSubstr(bad))) << bad;
  }
  EXPECT_EQ(xml.find('\0'), std::string::npos);
}

TEST(Junit, APageTellsItsGatesAndItsCells) {
  ExampleRun run(3);
  run.launch("KERNEL_CRASH");
  run.attempt(0, "wrong", 0).text = kHostile;
  run.attempt(1, "correct", 1);
  run.data.launches[0].log_tail = kHostile;
  run.data.run.resolved_profile = example_profile(example_gate(R"("min":0.9)"));
  TemporaryFolder folder;
  auto store = Store::open(folder.path() / "results.db");
  run.write(*store);
  const CheckList list = checks_of(build_page(*store, run.data.run.id));
  ASSERT_EQ(list.checks.size(), 2u);
  EXPECT_EQ(list.checks[0].name, "needle exact ≥ 0.900");
  EXPECT_EQ(list.checks[0].decision, Decision::kFail);
  EXPECT_EQ(list.checks[1].name, "measured");
  EXPECT_EQ(list.checks[1].decision, Decision::kFail);
  EXPECT_THAT(list.checks[1].message, HasSubstr("2 of 3 cases answered; KERNEL_CRASH ("));
  EXPECT_EQ(list.checks[1].detail, kHostile);
  EXPECT_THAT(list.output, HasSubstr("needle/c0: wrong"));
  EXPECT_THAT(list.output, Not(HasSubstr("needle/c1")));

  // A real parser, where there is one.
  const auto page = folder.path() / "page.xml", hostile = folder.path() / "hostile.xml";
  write_file_atomic(page, render_junit(list));
  write_file_atomic(hostile, render_junit(hostile_list()));
  if (test_support::run_command({"/usr/bin/env", "python3", "--version"}).exit_code != 0)
    GTEST_SKIP();
  const auto parsed = test_support::run_command(
      {"/usr/bin/env", "python3", test_support::source_dir() / "tests/unit/reports/junit_parse.py",
       page, hostile});
  EXPECT_EQ(parsed.exit_code, 0) << parsed.err;
  EXPECT_THAT(parsed.out, HasSubstr("hostile.xml 3 checks"));
  write_file_atomic(page, "<testsuites><testsuite><testcase name=\"\xff\"/></testsuite>");
  EXPECT_NE(test_support::run_command(
                {"/usr/bin/env", "python3",
                 test_support::source_dir() / "tests/unit/reports/junit_parse.py", page})
                .exit_code,
            0)
      << "it can fail";
}

TEST(Junit, AComparisonTellsItsTestsAndOutcomes) {
  Comparison comparison;
  comparison.now.profile_name = "p";
  comparison.endings = {{"cell", "out of memory", "LOAD_OOM", "load", kHostile, 7}};
  ScoreChange score;
  score.headline = true;
  score.difference.suite = "needle";
  score.difference.score = "exact";
  score.test.change = Change::kImprovement;
  comparison.scores = {score};
  const CheckList list = checks_of(comparison);
  ASSERT_EQ(list.checks.size(), 2u);
  EXPECT_EQ(list.checks[0].decision, Decision::kFail);
  EXPECT_THAT(list.checks[0].message, HasSubstr("out of memory, used to finish: LOAD_OOM"));
  EXPECT_EQ(list.checks[1].decision, Decision::kPass);
  EXPECT_EQ(list.checks[1].name, "needle exact");
  EXPECT_THAT(comparison_markdown(comparison), HasSubstr("✗ REGRESSION"));
}

}  // namespace
}  // namespace ds4::reports
