// The diagrams suite: graphs of tasks.json, to be drawn in a given form.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/rubric.h"
#include "suites/common/text_pools.h"
#include "suites/diagrams/check.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view diagrams_toml;
extern const std::string_view diagrams_tasks_json;

namespace {

const std::vector<std::string> kKinds = {"ascii", "unicode", "mermaid"};

const nlohmann::json& tasks() {
  static const auto all = nlohmann::json::parse(diagrams_tasks_json);
  return all;
}

// One task in one form; its id is "FORM/TASK".
struct Task {
  std::string kind, form;
  const nlohmann::json* json = nullptr;
  std::string id() const { return form + "/" + json->at("id").get<std::string>(); }
};

bool ascii_only(const nlohmann::json& task) {
  const std::string text = task.at("nodes").dump(-1, ' ', false);
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) > 0; });
}

std::vector<Task> all_tasks() {
  std::vector<Task> out;
  for (const char* form : {"ascii", "unicode", "flowchart"}) {
    for (const auto& task : tasks().at("graphs")) {
      if (form == std::string("ascii") && !ascii_only(task)) continue;
      out.push_back({form == std::string("flowchart") ? "mermaid" : form, form, &task});
    }
  }
  for (const auto& task : tasks().at("sequences")) out.push_back({"mermaid", "sequence", &task});
  for (const auto& task : tasks().at("states")) out.push_back({"mermaid", "state", &task});
  return out;
}

std::string question(const Task& task) {
  std::string nodes, edges;
  for (const std::string node : task.json->at("nodes")) nodes += (nodes.empty() ? "" : ", ") + node;
  for (const auto& edge : task.json->at("edges")) {
    edges += (edges.empty() ? "from " : "; from ") + edge.at(0).get<std::string>() + " to " +
             edge.at(1).get<std::string>();
    if (edge.size() > 2 && task.kind == "mermaid") {
      edges += " with the text \"" + edge.at(2).get<std::string>() + "\"";
    }
  }
  Rng unused(0);
  return fill_template(
      tasks().at("ask").at(task.form).get<std::string>(),
      {{"title", task.json->at("title").get<std::string>()}, {"nodes", nodes}, {"edges", edges}},
      unused);
}

WantedDiagram wanted_diagram(std::string_view expected) {
  const auto json = nlohmann::json::parse(expected);
  WantedDiagram wanted;
  wanted.form = json.at("form");
  wanted.nodes = json.at("nodes");
  for (const auto& edge : json.at("edges")) {
    wanted.edges.push_back({edge.at(0), edge.at(1), edge.size() > 2 ? edge.at(2) : ""});
  }
  return wanted;
}

class Diagrams final : public Suite {
 public:
  std::string_view name() const override { return "diagrams"; }
  std::string_view toml() const override { return diagrams_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = rubric_parameters(reader);
    const auto kinds = reader.choices("kinds", kKinds);
    const auto levels = reader.choices("levels", kRubricLevels);
    const auto among = [](const auto& list, const std::string& value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    std::vector<CaseSpec> out;
    for (const Task& task : all_tasks()) {
      const std::string level = task.json->at("level");
      if (!among(kinds, task.kind) || !among(levels, level)) continue;
      CaseSpec spec;
      spec.id = task.id();
      spec.tags = {{"kind", task.kind}, {"level", level}};
      spec.seed = case_seed(name(), common.seed, spec.id);
      out.push_back(std::move(spec));
    }
    return out;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const CommonParameters common = rubric_parameters(ParameterReader(name(), parameters));
    const std::vector<Task> all = all_tasks();
    const auto task =
        std::find_if(all.begin(), all.end(), [&](const Task& t) { return t.id() == spec.id; });
    DS4_CHECK(task != all.end(), "diagrams case " + spec.id);
    Case out;
    out.spec = spec;
    out.conversation = ask(question(*task), common.thinking);
    out.limits.max_tokens = common.max_tokens;
    auto edges = task->json->at("edges");
    if (task->kind != "mermaid") {
      for (auto& edge : edges) edge = {edge.at(0), edge.at(1)};  // no text on drawn arrows
    }
    out.expected =
        nlohmann::json{{"form", task->form}, {"nodes", task->json->at("nodes")}, {"edges", edges}}
            .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    if (was_cut(answer)) return invalid_score(answer, "the diagram was complete");
    std::string_view diagram;
    const auto fields = check_diagram(wanted_diagram(expected), visible_answer(answer), diagram);
    return rubric_score(fields, diagram);
  }
};

}  // namespace

const Suite& diagrams_suite() {
  static const Diagrams suite;
  return suite;
}

}  // namespace ds4::suites
