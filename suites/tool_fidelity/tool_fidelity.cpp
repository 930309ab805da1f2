// The tool_fidelity suite: arguments must come out as they stand in the request.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/tool_schema.h"
#include "suites/needle/haystack.h"
#include "suites/needle/phrases.h"
#include "suites/registry.h"
#include "suites/tool_fidelity/payloads.h"

namespace ds4::suites {

extern const std::string_view tool_fidelity_toml;

namespace {

using Json = nlohmann::json;

constexpr int64_t kShortest = 2048;

// Strings byte for byte, numbers of the same kind (5.0 is not 5), members in any order.
bool same(const Json& given, const Json& wanted) {
  if (given.is_number() || wanted.is_number()) {
    return given.is_number_integer() && wanted.is_number_integer() && given == wanted;
  }
  if (given.type() != wanted.type() || given.size() != wanted.size()) return false;
  if (given.is_array()) return std::equal(given.begin(), given.end(), wanted.begin(), same);
  if (!given.is_object()) return given == wanted;
  return std::ranges::all_of(wanted.items(), [&](const auto& member) {
    return given.contains(member.key()) && same(given.at(member.key()), member.value());
  });
}

std::string difference(const std::string& name, const Json& given, const Json& wanted) {
  if (!given.is_string() || !wanted.is_string()) return name + " is another one";
  const auto& a = given.get_ref<const std::string&>();
  const auto& b = wanted.get_ref<const std::string&>();
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  return name + " (" + std::to_string(a.size()) + " bytes of " + std::to_string(b.size()) +
         ") differs from byte " + std::to_string(at) + " on";
}

struct Made {
  std::string name;
  Json arguments;
  bool taken = false;
};

// How much of the wanted calls is there.
struct Comparison {
  int64_t right = 0, all = 0;  // arguments
  bool calls = false;          // these calls and no other
  std::string problem;         // the first, as a clause
};

int64_t right_arguments(const Made& made, const Json& wanted) {
  return std::ranges::count_if(wanted.items(), [&](const auto& argument) {
    return made.arguments.is_object() && made.arguments.contains(argument.key()) &&
           same(made.arguments.at(argument.key()), argument.value());
  });
}

// In any order: to each wanted call goes the one that has most of it.
Comparison compare(std::vector<Made> made, const Json& wanted) {
  Comparison out;
  out.calls = made.size() == wanted.size();
  if (!out.calls) {
    out.problem =
        std::to_string(made.size()) + " calls instead of " + std::to_string(wanted.size());
  }
  const auto note = [&](const std::string& problem) {
    if (out.problem.empty()) out.problem = problem;
  };
  for (const Json& call : wanted) {
    const Json& arguments = call.at("arguments");
    out.all += std::ssize(arguments);
    Made* best = nullptr;
    int64_t most = -1;
    for (Made& one : made) {
      if (one.taken || one.name != call.at("name")) continue;
      const int64_t right = right_arguments(one, arguments);
      if (right > most) {
        most = right;
        best = &one;
      }
    }
    if (best == nullptr) {
      out.calls = false;
      note("no call of " + call.at("name").get<std::string>() + " for it");
      continue;
    }
    best->taken = true;
    out.right += most;
    for (const auto& [name, value] : arguments.items()) {
      if (!best->arguments.is_object() || !best->arguments.contains(name)) {
        note(name + " is missing");
      } else if (!same(best->arguments.at(name), value)) {
        note(difference(name, best->arguments.at(name), value));
      }
    }
  }
  return out;
}

class ToolFidelity final : public Suite {
 public:
  std::string_view name() const override { return "tool_fidelity"; }
  std::string_view toml() const override { return tool_fidelity_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const int64_t samples = reader.integer("samples", {1, kMaxNumberedCases, "cases"});
    std::vector<CaseSpec> cases;
    for (const int64_t length : reader.integers("lengths", {0, 4194304, "tokens"})) {
      if (length != 0) check_length(length);
      for (const std::string& payload :
           reader.choices("payloads", tool_fidelity::payload_names())) {
        for (int64_t i = 0; i < samples; ++i) {
          CaseSpec spec;
          spec.tags = {{"length", std::to_string(length)}, {"payload", payload}};
          spec.id = spec.tags["length"] + "/" + payload + "/" + numbered_id(i);
          spec.seed = case_seed(name(), common.seed, spec.id);
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    std::vector<Need> needs = Suite::needs(parameters);
    needs.push_back(Need::kTools);
    return needs;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const CommonParameters common = common_parameters(ParameterReader(name(), parameters));
    Rng rng(spec.seed);
    HaystackRequest request;
    std::string question;
    const auto wanted = tool_fidelity::random_payload(spec.tags.at("payload"), rng, question);
    request.closing = "\n\n" + question;
    request.tokens = std::stoll(spec.tags.at("length"));
    request.opening = random_opening(rng);
    request.fact = random_filler_line(rng);
    request.thinking = common.thinking;
    request.seed = rng.next();
    Case out;
    out.spec = spec;
    out.conversation = ask(std::move(question), common.thinking);
    if (request.tokens > 0) {
      const TokenCounter with_tools = {
          [&](const Conversation& c) { return counter.count(offering_tools(c)); }, counter.exact};
      out.conversation = build_haystack(request, with_tools).conversation;
    }
    out.conversation = offering_tools(std::move(out.conversation));
    out.limits.max_tokens = common.max_tokens;
    out.expected = nlohmann::ordered_json{{"wanted", wanted}}.dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const Json wanted = Json::parse(expected).at("wanted");
    if (was_cut(answer)) return invalid_score(answer, "the calls were complete");
    std::vector<Made> made;
    std::set<std::string> ids;
    std::string broken;
    for (const ToolCall& call : answer.tool_calls) {
      made.push_back({call.name, Json::parse(call.arguments, nullptr, false)});
      if (broken.empty()) broken = schema_problem(call, tool_fidelity::functions());
      if (broken.empty() && !call.id.empty() && !ids.insert(call.id).second) {
        broken = "two calls have the id " + printable(call.id, 40);
      }
    }
    const Comparison found = compare(std::move(made), wanted);
    const std::string leak(leaked_marker(visible_answer(answer)));
    const bool exact = found.calls && found.right == found.all && broken.empty() && leak.empty();
    Score score;
    score.grade = exact ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"exact", as_value(exact)},
                    {"schema_valid", as_value(broken.empty() && !answer.tool_calls.empty())},
                    {"calls", as_value(found.calls)},
                    {"values", static_cast<double>(found.right) / static_cast<double>(found.all)},
                    {"no_leak", as_value(leak.empty())}};
    for (const ToolCall& call : answer.tool_calls) {
      score.extracted += (score.extracted.empty() ? "" : ", ") + call.name + call.arguments;
    }
    score.extracted = printable(score.extracted);
    std::string problem = found.problem;
    const auto add = [&](const std::string& clause) {
      if (!clause.empty()) problem += (problem.empty() ? "" : "; ") + clause;
    };
    add(broken);
    if (!leak.empty()) add("\"" + leak + "\" leaks into the visible text");
    score.explanation = exact ? "Every argument came as it was asked for."
                              : "Not as asked for: " + printable(problem, 400) + ".";
    return score;
  }

 private:
  void check_length(int64_t length) const {
    if (length >= kShortest) return;
    throw Error(ErrorCode::kProfile,
                "suite `tool_fidelity`: `lengths` has " + std::to_string(length) +
                    ", which leaves no room for tools and payload",
                "Use 0, or " + std::to_string(kShortest) + " or more.");
  }

  static Conversation offering_tools(Conversation conversation) {
    Message system = message("system", "");
    system.tools = tool_fidelity::functions();
    conversation.messages.insert(conversation.messages.begin(), std::move(system));
    return conversation;
  }
};

}  // namespace

const Suite& tool_fidelity_suite() {
  static const ToolFidelity suite;
  return suite;
}

}  // namespace ds4::suites
