// Shared by the suite tests: defaults, counters that stand in for a tokenizer, and short ways to
// write answers.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "suites/common/datasets.h"
#include "suites/suite.h"
#include "tests/support/source_dir.h"

namespace ds4::suites {

/// The defaults of its suite.toml.
inline Parameters default_parameters(std::string_view suite) {
  return profiles::suite_definition(*find_suite(suite)).defaults;
}

/// Whether the shared folder has the files of a data set; then suites find them.
inline bool use_shared_dataset(std::string_view name) {
  const auto folder = test_support::shared_path("data");
  if (!folder || !std::filesystem::exists(*folder / name)) return false;
  setenv("DS4_SWEEP_DATA", folder->c_str(), 1);
  return true;
}

inline std::string joined_text(const Conversation& conversation) {
  std::string text;
  for (const Message& message : conversation.messages) {
    text += message.content;
    for (const std::string& tool : message.tools) text += tool;
  }
  return text;
}

/// Whether the suite can make cases here: it needs no data set, or the shared folder has it.
inline bool can_make_cases(const Suite& suite) {
  return suite.dataset().empty() || use_shared_dataset(suite.dataset());
}

/// What the target is asked, as one text.
inline std::string joined_text(const Case& c) {
  return c.raw ? c.raw->text : joined_text(c.conversation);
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
