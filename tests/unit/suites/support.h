// Shared by the suite tests: the defaults of every suite.toml as C++ values (suites know no TOML),
// counters that stand in for a tokenizer, and short ways to write answers.
#pragma once

#include <string>
#include <vector>

#include "engine/base/check.h"
#include "suites/suite.h"

namespace ds4::suites {

inline Parameters default_parameters(std::string_view suite) {
  using Integers = std::vector<int64_t>;
  using Reals = std::vector<double>;
  using Strings = std::vector<std::string>;
  Parameters out{{"seed", int64_t{1}}, {"max_tokens", int64_t{96}}, {"thinking", false}};
  const auto add = [&](Parameters more) { out.merge(more); };
  if (suite == "smoke") add({{"style", std::string("bare")}});
  if (suite == "arithmetic") {
    add({{"cases", int64_t{12}},
         {"kinds", Strings{"story", "sum"}},
         {"steps", Integers{1, 2, 3}},
         {"style", std::string("bare")}});
  }
  if (suite == "tool_calls") {
    add({{"cases", int64_t{16}},
         {"offered_min", int64_t{1}},
         {"offered_max", int64_t{3}},
         {"tools_in", std::string("tools")}});
  }
  if (suite == "long_code") {
    add({{"lengths", Integers{0}},
         {"kinds", Strings{"past_end", "skips_first", "none"}},
         {"depths", Reals{0.5}},
         {"languages", Strings{"c", "python"}},
         {"samples", int64_t{2}},
         {"style", std::string("bare")}});
  }
  if (suite == "needle") {
    add({{"lengths", Integers{512}},
         {"depths", Reals{0.0, 0.25, 0.5, 0.75, 1.0}},
         {"residues", Integers{0, 1, 2, 3}},
         {"variants", Strings{"distractors"}},
         {"samples", Integers{20}},
         {"facts", int64_t{4}},
         {"value_length", int64_t{6}},
         {"style", std::string("bare")}});
  }
  DS4_CHECK(out.size() > 3);
  return out;
}

inline std::string joined_text(const Conversation& conversation) {
  std::string text;
  for (const Message& message : conversation.messages) {
    text += message.content;
    for (const std::string& tool : message.tools) text += tool;
  }
  return text;
}

/// Words separated by white space, and five for the template.
inline int64_t count_words(std::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (char c : text) {
    const bool space = c == ' ' || c == '\n';
    words += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return words;
}
inline TokenCounter word_counter() {
  return {[](const Conversation& c) { return count_words(joined_text(c)) + 5; }, true};
}

/// A quarter of the bytes: what targets without a tokenizer do.
inline TokenCounter byte_counter() {
  return {[](const Conversation& c) { return static_cast<int64_t>(joined_text(c).size() / 4); },
          false};
}

inline Answer content_answer(std::string content, std::string finish_reason = "stop") {
  Answer answer;
  answer.text = answer.content = std::move(content);
  answer.finish_reason = std::move(finish_reason);
  return answer;
}

/// Answers no scorer may choke on; none of them is right.
inline std::vector<Answer> hostile_answers() {
  std::string huge;
  for (int i = 0; i < 200000; ++i) huge += "Q" + std::to_string(i) + ", ";
  std::vector<Answer> out;
  for (std::string text : {std::string(), std::string(" \n\t "), huge, std::string(1 << 20, '#'),
                           std::string("\xff\xfe\xc3(\xed\xa0\x80 end"), std::string("a\0b", 3),
                           std::string("<\xef\xbd\x9c"
                                       "DSML\xef\xbd\x9c"
                                       "tool_calls><invoke name=\"x\"></think>"),
                           std::string("#### \n#### -\n#### ,"), std::string(5000, '[')}) {
    for (const char* reason : {"stop", "length", "error"})
      out.push_back(content_answer(text, reason));
  }
  Answer only_reasoning;
  only_reasoning.text = only_reasoning.reasoning = "The value must be ABC234, that is #### 12.";
  only_reasoning.finish_reason = "length";
  out.push_back(only_reasoning);
  Answer bad_call;
  bad_call.tool_calls.push_back({"1", "no\xffsuch", "{\"city\": " + std::string(100000, '[')});
  bad_call.finish_reason = "stop";
  out.push_back(bad_call);
  return out;
}

}  // namespace ds4::suites
