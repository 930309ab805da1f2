// What tests of outcomes share: a run, its rows, and what every report says of them.
#pragma once

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "reports/outcomes/outcome.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {

inline constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

inline reports::LaunchRow only_launch(const Sweep& sweep) {
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  EXPECT_EQ(launches.size(), 1u);
  return launches.at(0);
}

// The class of the attempt at a case whose id begins with `name`, or of the first.
inline std::string attempt_class(const Sweep& sweep, const std::string& name = "") {
  const auto store = sweep.store();
  for (const auto& attempt : store->attempts(store->run("latest").id, false)) {
    if (attempt.case_id.starts_with(name)) return attempt.outcome;
  }
  return "no such attempt";
}

// Everything a reader may look at names the class, whom it is about and what to do.
inline void expect_shown(const Sweep& sweep, const std::string& name) {
  const reports::OutcomeClass& known = reports::outcome_class(name);
  ASSERT_EQ(known.name, name);
  const auto report = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"report", "latest"});
    return run_command(sweep.command(arguments)).out;
  };
  const std::string terminal = report({});
  EXPECT_THAT(terminal, ::testing::HasSubstr(name));
  EXPECT_THAT(terminal, ::testing::HasSubstr(known.scope));
  EXPECT_THAT(terminal, ::testing::HasSubstr(known.remedy));
  for (const char* format : {"md", "html", "json"}) {
    const std::string text = report({"--format", format, "-o", "-"});
    // Markdown escapes braces and underscores, HTML quotes: the plain beginning is enough.
    EXPECT_THAT(text, ::testing::HasSubstr(known.remedy.substr(0, 12))) << format;
    EXPECT_THAT(text, ::testing::HasSubstr(known.scope.substr(0, 6))) << format;
  }
  const auto json = nlohmann::json::parse(report({"--format", "json", "-o", "-"}));
  bool found = false;
  for (const char* list : {"launches", "attempts"}) {
    for (const auto& row : json.at(list)) {
      if (row.at("outcome") != name) continue;
      found = true;
      EXPECT_EQ(row.at("scope"), known.scope);
      EXPECT_EQ(row.at("remedy"), known.remedy);
    }
  }
  EXPECT_TRUE(found) << name;
}

inline void expect_launch(const std::string& script, const std::string& profile,
                          const char* outcome) {
  const Sweep sweep(script, profile);
  sweep.run();
  const reports::LaunchRow launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, outcome) << launch.message << "\n" << launch.log_tail;
  expect_shown(sweep, outcome);
}

inline void expect_attempt(const std::string& script, const std::string& profile,
                           const char* outcome) {
  const Sweep sweep(script, profile);
  sweep.run();
  EXPECT_EQ(attempt_class(sweep), outcome);
  expect_shown(sweep, outcome);
}

}  // namespace ds4::test_support
