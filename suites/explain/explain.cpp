// The explain suite: functions of tasks.json to be explained, graded by facts and false claims.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "suites/common/answers.h"
#include "suites/common/claims.h"
#include "suites/common/rubric.h"
#include "suites/common/tasks.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view explain_toml;
extern const std::string_view explain_tasks_json;

namespace {

const nlohmann::json& tasks() {
  static const auto all = nlohmann::json::parse(explain_tasks_json);
  return all;
}

// Code holds braces, so that this is no template of text_pools.h.
std::string question(const nlohmann::json& task) {
  std::string text = tasks().at("ask");
  for (const char* slot : {"language", "edge", "code"}) {
    const std::string name = "{" + std::string(slot) + "}";
    const std::string value = task.at(slot);
    for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + value.size())) {
      text.replace(at, name.size(), value);
    }
  }
  return text;
}

// A fact holds when something of each of its groups is claimed.
Field check_fact(const std::string& name, const std::vector<TermGroup>& groups,
                 const FoldedText& text) {
  for (const TermGroup& group : groups) {
    if (!text.claims_any(group)) return {name, false, "nothing like \"" + group.front() + "\""};
  }
  return {name, true};
}

class Explain final : public Suite {
 public:
  std::string_view name() const override { return "explain"; }
  std::string_view toml() const override { return explain_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    return plan_tasks(name(), parameters, tasks().at("tasks"), {"level", "language"});
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const auto ask_task = [](const nlohmann::json& task) -> AskedTask {
      return {question(task),
              nlohmann::json{{"facts", task.at("facts")}, {"false", task.at("false")}}.dump()};
    };
    return build_task(name(), parameters, spec, tasks().at("tasks"), ask_task);
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    if (was_cut(answer)) return invalid_score(answer, "the explanation was complete");
    const auto wanted = nlohmann::json::parse(expected);
    const std::string_view visible = trim(visible_answer(answer));
    const FoldedText text(visible);
    std::vector<Field> fields;
    for (const char* fact : {"purpose", "input_output", "complexity", "invariant", "edge_case"}) {
      fields.push_back(check_fact(fact, wanted.at("facts").at(fact), text));
    }
    const TermGroup lies = wanted.at("false");
    const std::string lie(text.claimed_of(lies));
    // Who says nothing says nothing false either: that is no merit.
    const bool any =
        std::any_of(fields.begin(), fields.end(), [](const Field& f) { return f.hit; });
    fields.push_back({"no_false_claim", lie.empty() && any,
                      lie.empty() ? "nothing is claimed" : "it claims \"" + lie + "\""});
    return rubric_score(fields, visible);
  }
};

}  // namespace

const Suite& explain_suite() {
  static const Explain suite;
  return suite;
}

}  // namespace ds4::suites
