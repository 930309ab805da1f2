#include "suites/bfcl/rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "suites/bfcl/literal.h"
#include "suites/common/answers.h"

namespace ds4::suites::bfcl {
namespace {

using Json = nlohmann::json;

// What a published type is among the kinds of value that JSON has. Java's and JavaScript's "any" is
// any of them; Python's is a string, as the leaderboard has it.
enum class Kind { kString, kInteger, kFloat, kBoolean, kList, kDict, kNone, kAny };

Kind kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::string:
      return Kind::kString;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return Kind::kInteger;
    case Json::value_t::number_float:
      return Kind::kFloat;
    case Json::value_t::boolean:
      return Kind::kBoolean;
    case Json::value_t::array:
      return Kind::kList;
    case Json::value_t::object:
      return Kind::kDict;
    default:
      return Kind::kNone;
  }
}

struct TypeName {
  std::string_view name;
  Kind kind;
  std::string_view schema;  // of JSON schema
};

constexpr TypeName kTypes[] = {
    {"string", Kind::kString, "string"},    {"String", Kind::kString, "string"},
    {"char", Kind::kString, "string"},      {"any", Kind::kString, "string"},
    {"integer", Kind::kInteger, "integer"}, {"long", Kind::kInteger, "integer"},
    {"short", Kind::kInteger, "integer"},   {"byte", Kind::kInteger, "integer"},
    {"Bigint", Kind::kInteger, "integer"},  {"float", Kind::kFloat, "number"},
    {"double", Kind::kFloat, "number"},     {"boolean", Kind::kBoolean, "boolean"},
    {"Boolean", Kind::kBoolean, "boolean"}, {"array", Kind::kList, "array"},
    {"tuple", Kind::kList, "array"},        {"Array", Kind::kList, "array"},
    {"ArrayList", Kind::kList, "array"},    {"dict", Kind::kDict, "object"},
    {"HashMap", Kind::kDict, "object"},     {"Hashtable", Kind::kDict, "object"},
};

const TypeName& type_named(const Json& type) {
  const std::string name = type.is_string() ? type.get<std::string>() : "string";
  const auto* found = std::ranges::find(kTypes, std::string_view(name), &TypeName::name);
  return found == std::end(kTypes) ? kTypes[0] : *found;
}

Kind wanted_kind(const Json& schema, Language language) {
  const Json type = schema.value("type", Json("string"));
  return language != Language::kPython && type == "any" ? Kind::kAny : type_named(type).kind;
}

// Without case and these characters, and with one kind of quotes.
std::string normal(const std::string& text) {
  std::string out;
  for (const char c : lower_case(text)) {
    if (std::string_view(" ,./-_*^").find(c) == std::string_view::npos) out += c == '\'' ? '"' : c;
  }
  return out;
}

Json normal(const Json& value) {
  return value.is_string() ? Json(normal(value.get<std::string>())) : value;
}

bool among(const Json& value, const Json& accepted) {
  return std::ranges::any_of(accepted, [&](const Json& one) { return equal(value, one); });
}

bool normal_among(const Json& value, const Json& accepted) {
  return std::ranges::any_of(accepted,
                             [&](const Json& one) { return equal(normal(value), normal(one)); });
}

bool may_be_absent(const Json& accepted) {
  return std::ranges::any_of(accepted, [](const Json& one) { return one == ""; });
}

// The kind of the first accepted value that says one; kNone when all are "".
Kind kind_of_accepted(const Json& accepted, Kind otherwise) {
  for (const Json& one : accepted) {
    if (one != "") return kind_of(one);
  }
  return otherwise;
}

bool list_matches(const Json& list, const Json& accepted) {
  return std::ranges::any_of(accepted, [&](const Json& one) {
    return one.is_array() && std::ranges::equal(list, one, [](const Json& a, const Json& b) {
             return equal(normal(a), normal(b));
           });
  });
}

bool dict_matches(const Json& dict, const Json& one) {
  if (!one.is_object()) return false;
  for (const auto& [key, value] : dict.items()) {
    if (!one.contains(key)) return false;
    // One published key has a value where a list of accepted ones belongs.
    const Json& accepted = one.at(key);
    const bool right = accepted.is_array() ? normal_among(value, accepted)
                                           : equal(normal(value), normal(accepted));
    if (!right) return false;
  }
  return std::ranges::all_of(one.items(), [&](const auto& entry) {
    return dict.contains(entry.key()) || (entry.value().is_array() && may_be_absent(entry.value()));
  });
}

bool dicts_match(const Json& list, const Json& accepted) {
  return std::ranges::any_of(accepted, [&](const Json& one) {
    return one.is_array() && std::ranges::equal(list, one, [](const Json& a, const Json& b) {
             return a.is_object() && dict_matches(a, b);
           });
  });
}

// Whether the items of a list have the type that is asked for, or that of an accepted list's first.
bool items_have_type(const Json& list, Kind kind, const Json& accepted) {
  return std::ranges::any_of(accepted, [&](const Json& one) {
    return !one.is_array() || std::ranges::all_of(list, [&](const Json& item) {
      return kind_of(item) == kind || kind_of(item) == kind_of_accepted(one, Kind::kNone);
    });
  });
}

// A clause about a value that is not accepted; empty when it is.
std::string value_problem(Json value, const Json& schema, const Json& accepted, Language language) {
  const Kind asked = wanted_kind(schema, language);
  if (language != Language::kPython && value.is_string() && asked != Kind::kString &&
      asked != Kind::kAny) {
    value = read_literal(value.get<std::string>());
  }
  const Kind kind = asked == Kind::kAny ? kind_of(value) : asked;
  if (kind == Kind::kFloat && value.is_number_integer()) value = value.get<double>();
  const Kind given = kind_of(value);
  const Kind first = kind_of_accepted(accepted, kind);
  // What the key calls by another type is the name of a variable and is compared plainly.
  bool variable = first != kind;
  if (given != kind) {
    if (given != first)
      return "is no " + std::string(type_named(schema.value("type", Json("string"))).schema);
    variable = true;
  } else if (kind == Kind::kList && schema.contains("items")) {
    const Kind item = wanted_kind(schema.at("items"), language);
    if (item != Kind::kAny && !items_have_type(value, item, accepted))
      return "has items of another type";
    if (!variable && item == Kind::kDict) {
      return dicts_match(value, accepted) ? "" : "is not the wanted list";
    }
  }
  bool right = among(value, accepted);
  if (!variable && kind == Kind::kDict) {
    right =
        std::ranges::any_of(accepted, [&](const Json& one) { return dict_matches(value, one); });
  } else if (!variable && kind == Kind::kString) {
    right = normal_among(value, accepted);
  } else if (!variable && kind == Kind::kList) {
    right = list_matches(value, accepted);
  }
  return right ? ""
               : "is " + printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

std::string underscored(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

std::string call_problem(const Call& call, const Json& functions, const Json& wanted,
                         Language language) {
  const std::string& name = wanted.begin().key();
  const Json& accepted = wanted.begin().value();
  if (underscored(call.name) != underscored(name)) {
    return printable(call.name, 60) + " is not " + name;
  }
  const auto function =
      std::ranges::find_if(functions, [&](const Json& one) { return one.at("name") == name; });
  if (function == functions.end()) return name + " was not offered";
  const Json arguments = call.arguments();
  if (!arguments.is_object()) return "the arguments of " + name + " are no JSON object";
  const Json& parameters = function->at("parameters");
  for (const Json& required : parameters.value("required", Json::array())) {
    if (!arguments.contains(required)) return name + " lacks " + required.get<std::string>();
  }
  const Json& properties = parameters.at("properties");
  for (const auto& [parameter, value] : arguments.items()) {
    if (!properties.contains(parameter) || !accepted.contains(parameter)) {
      return name + " has no " + printable(parameter, 40) + " here";
    }
    const std::string problem =
        value_problem(value, properties.at(parameter), accepted.at(parameter), language);
    if (!problem.empty()) return parameter + " of " + name + " " + problem;
  }
  for (const auto& [parameter, values] : accepted.items()) {
    if (!arguments.contains(parameter) && !may_be_absent(values)) {
      return name + " lacks " + parameter;
    }
  }
  return "";
}

void rename_types(nlohmann::ordered_json& schema) {
  if (schema.is_array()) {
    for (auto& item : schema) rename_types(item);
  }
  if (!schema.is_object()) return;
  for (auto& [key, value] : schema.items()) {
    if (key == "type" && value.is_string()) {
      value = type_named(value).schema;
    } else {
      rename_types(value);
    }
  }
}

}  // namespace

Json Call::arguments() const {
  return Json::parse(text, nullptr, false);
}

bool equal(const Json& a, const Json& b) {
  const auto number = [](const Json& value) { return value.is_number() || value.is_boolean(); };
  const auto real = [](const Json& value) {
    return value.is_boolean() ? double(value.get<bool>()) : value.get<double>();
  };
  if (number(a) && number(b)) {
    return a.is_number_integer() && b.is_number_integer() ? a == b : real(a) == real(b);
  }
  if (a.is_array() && b.is_array()) return std::ranges::equal(a, b, equal);
  if (a.is_object() && b.is_object()) {
    return a.size() == b.size() && std::ranges::all_of(a.items(), [&](const auto& entry) {
             return b.contains(entry.key()) && equal(entry.value(), b.at(entry.key()));
           });
  }
  return a == b;
}

std::string problem(const std::vector<Call>& calls, const Json& functions, const Json& wanted,
                    Language language) {
  if (calls.size() != wanted.size()) {
    return std::to_string(calls.size()) +
           (calls.size() == 1 ? " call instead of " : " calls instead of ") +
           std::to_string(wanted.size());
  }
  std::vector<bool> taken(calls.size());
  for (const Json& one : wanted) {
    std::string first_problem;
    bool found = false;
    for (size_t i = 0; i < calls.size() && !found; ++i) {
      if (taken[i]) continue;
      const std::string why = call_problem(calls[i], functions, one, language);
      found = taken[i] = why.empty();
      if (first_problem.empty()) first_problem = why;
    }
    if (!found) return first_problem;
  }
  return "";
}

nlohmann::ordered_json offered(const nlohmann::ordered_json& function) {
  nlohmann::ordered_json out = function;
  out["name"] = underscored(out.at("name"));
  rename_types(out.at("parameters"));
  return out;
}

}  // namespace ds4::suites::bfcl
