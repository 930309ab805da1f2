// Every payload is drawn anew for each case, so that none can be known by heart.
#include "suites/tool_fidelity/payloads.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/text_pools.h"
#include "suites/common/tool_schema.h"

namespace ds4::suites::tool_fidelity {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kCodeBytes = 2048;

std::string filled(std::string_view pattern, Rng& rng) {
  return fill_template(pattern, {}, rng);
}

Json call(const char* name, Json arguments) {
  return {{"name", name}, {"arguments", std::move(arguments)}};
}

std::string quotes(Rng& rng) {
  return filled(
      R"(He wrote "{cities}" and '{cities}', then \"{{cities}}\" in C:\new\table\{nouns}.txt; )"
      R"(`{nouns}` costs 5" or 6', “{people}” said — \\ and \u0041 stay as they are.)",
      rng);
}

std::string newlines(Rng& rng) {
  return filled("{nouns}:\n\n\t- {cities}\n\t- {cities}\n\n\n{people}\\n is no line end\n    end",
                rng);
}

std::string non_bmp(Rng& rng) {
  static const std::vector<std::string> kSigns = {"😀",  "🛰",        "𝔘", "𠮷",
                                                  "🇯🇵", "👩‍🔬", "𝟜", "🜁"};
  std::string text = filled("{nouns} ", rng);
  for (const std::string& sign : rng.sample(kSigns, 6)) text += sign + filled("{2..99} ", rng);
  return text + "e\xcc\x81 \xc3\xa9.";  // the same letter, combined and whole
}

// Looks like a program; 2 KB and the rest of the last line.
std::string code(Rng& rng) {
  std::string text = "import re\n\n";
  while (text.size() < kCodeBytes) {
    const Bindings names = {{"f", "f_" + random_code(rng, 4)}, {"x", rng.pick(words("variables"))}};
    text += fill_template(
        "def {f}({x}):\n    \"\"\"{nouns} & <{cities}> of {people}\"\"\"\n"
        "    if not re.match(r'^\\d+\\.{{{2..99}}}$', {x}) and {x} != \"{code:4}\\t\":\n"
        "        return {{'{nouns}': [{2..99}, {2..99}]}}[{x}]  # 100%\n"
        "    return f\"{{{x}!r:>{2..99}}}\"\n\n",
        names, rng);
  }
  return text + "print('done')";
}

std::string part_number(Rng& rng) {
  return "00" + random_digits(rng, 6);
}

// More than 53 bits, so that no double holds it.
int64_t large_integer(Rng& rng) {
  const auto value = static_cast<int64_t>((rng.next() >> 2) | (uint64_t{1} << 61) | 1);
  return rng.below(2) == 0 ? value : -value;
}

// A request to hand a text over that stands between two lines of its own.
Json text_call(const std::string& text, Rng& rng, std::string& request) {
  const std::string name = "note-" + random_code(rng, 6);
  const std::string line = "===== " + random_code(rng, 8) + " =====";
  request = "Call save_text once, with name \"" + name +
            "\". Its text is what stands between the two lines " + line +
            ", character for character, without the line ends beside those lines.\n" + line + "\n" +
            text + "\n" + line;
  return Json::array({call("save_text", {{"name", name}, {"text", text}})});
}

Json part_call(Rng& rng, std::string& request) {
  const std::string number = part_number(rng);
  const int64_t quantity = rng.between(2, 99);
  request += "Register part number " + number + ", quantity " + std::to_string(quantity) + ".";
  return call("register_part", {{"number", number}, {"quantity", quantity}});
}

Json counter_call(Rng& rng, std::string& request) {
  const std::string name = "counter-" + random_code(rng, 4);
  const int64_t value = large_integer(rng);
  request += "Set the counter " + name + " to " + std::to_string(value) + ".";
  return call("set_counter", {{"name", name}, {"value", value}});
}

Json settings_call(Rng& rng, std::string& request) {
  const Json tags = {rng.pick(words("nouns")), random_code(rng, 5), "0" + random_digits(rng, 3)};
  const Json settings = {{"host", "h" + random_digits(rng, 4) + ".example.org"},
                         {"port", rng.between(1024, 65535)},
                         {"secure", rng.below(2) == 0},
                         {"tags", tags}};
  const std::string name = "site-" + random_code(rng, 4);
  request += "Save the settings " + name + ": host " + settings.at("host").get<std::string>() +
             ", port " + settings.at("port").dump() + ", secure " + settings.at("secure").dump() +
             ", and the tags " + tags.at(0).dump() + ", " + tags.at(1).dump() + " and " +
             tags.at(2).dump() + " in this order, each a string.";
  return call("save_settings", {{"name", name}, {"settings", settings}});
}

Json parallel_calls(Rng& rng, std::string& request) {
  Json calls = Json::array();
  request = "Do all of this at once, with one call for each:";
  const int64_t count = rng.between(3, 5);
  for (int64_t i = 0; i < count; ++i) {
    request += "\n- ";
    calls.push_back(rng.below(2) == 0 ? part_call(rng, request) : counter_call(rng, request));
  }
  return calls;
}

}  // namespace

const std::vector<std::string>& payload_names() {
  static const std::vector<std::string> names = {
      "quotes", "newlines", "non_bmp", "code", "leading_zeros", "integers", "nested", "parallel"};
  return names;
}

const std::vector<std::string>& functions() {
  static const std::vector<std::string> texts = [] {
    const Json string = {{"type", "string"}}, integer = {{"type", "integer"}};
    const Json settings = {{"type", "object"},
                           {"properties",
                            {{"host", string},
                             {"port", integer},
                             {"secure", {{"type", "boolean"}}},
                             {"tags", {{"type", "array"}, {"items", string}}}}},
                           {"required", {"host", "port", "secure", "tags"}}};
    return std::vector<std::string>{
        function_text("save_text", "Save a text under a name", {{"name", string}, {"text", string}},
                      {"name", "text"}),
        function_text("register_part", "Register a part by its number, which is a string",
                      {{"number", string}, {"quantity", integer}}, {"number", "quantity"}),
        function_text("set_counter", "Set a counter of 64 bits",
                      {{"name", string}, {"value", integer}}, {"name", "value"}),
        function_text("save_settings", "Save the settings of a site",
                      {{"name", string}, {"settings", settings}}, {"name", "settings"})};
  }();
  return texts;
}

Json random_payload(const std::string& name, Rng& rng, std::string& request) {
  if (name == "quotes") return text_call(quotes(rng), rng, request);
  if (name == "newlines") return text_call(newlines(rng), rng, request);
  if (name == "non_bmp") return text_call(non_bmp(rng), rng, request);
  if (name == "code") return text_call(code(rng), rng, request);
  if (name == "parallel") return parallel_calls(rng, request);
  request.clear();
  if (name == "leading_zeros") return Json::array({part_call(rng, request)});
  if (name == "integers") return Json::array({counter_call(rng, request)});
  DS4_CHECK(name == "nested", name);
  return Json::array({settings_call(rng, request)});
}

}  // namespace ds4::suites::tool_fidelity
