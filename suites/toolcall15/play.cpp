#include "suites/toolcall15/play.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "suites/common/answers.h"

namespace ds4::suites::toolcall15 {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Lower case with the plain apostrophe for the typographic one.
std::string plain(std::string_view text) {
  static constexpr std::string_view kApostrophe = "\xe2\x80\x99";
  std::string out = lower_case(text);
  for (size_t at = out.find(kApostrophe); at != out.npos; at = out.find(kApostrophe, at)) {
    out.replace(at, kApostrophe.size(), "'");
  }
  return out;
}

// "7,450.40" -> "7450.4".
std::string canonical(std::string_view number) {
  std::string out;
  for (const char c : number) {
    if (c != ',') out += c;
  }
  while (out.ends_with('.')) out.pop_back();
  if (out.find('.') != out.npos) {
    while (out.ends_with('0')) out.pop_back();
    if (out.ends_with('.')) out.pop_back();
  }
  return out;
}

bool requests(std::string_view sentence) {
  static constexpr std::string_view kRequests[] = {
      "please provide", "please share", "please tell", "please give", "please confirm",
      "please specify", "let me know",  "tell me",     "i need",      "i would need",
      "i'd need",       "send me",      "give me"};
  return std::ranges::any_of(
      kRequests, [&](std::string_view words) { return contains_words(sentence, words); });
}

}  // namespace

std::string MadeCall::argument(const std::string& key) const {
  const auto found = arguments.find(key);
  return found == arguments.end() ? "" : found->second;
}

bool is_call(const MadeCall& call, std::string_view tool, With with) {
  return call.name == tool && std::all_of(with.begin(), with.end(), [&](const auto& wanted) {
           return lower_case(call.argument(wanted.first)).find(wanted.second) != std::string::npos;
         });
}

const MadeCall* Play::find(std::string_view tool, With with, size_t from) const {
  for (const MadeCall& call : calls) {
    if (call.turn >= from && is_call(call, tool, with)) return &call;
  }
  return nullptr;
}

bool Play::only(std::initializer_list<std::string_view> tools) const {
  return std::ranges::all_of(calls, [&](const MadeCall& call) {
    return std::find(tools.begin(), tools.end(), call.name) != tools.end();
  });
}

Play play_of(std::span<const Turn> turns) {
  Play play;
  std::map<std::string, std::set<size_t>> turns_of;  // by tool
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    const Answer& answer = turns[turn].answer;
    play.texts.emplace_back(visible_answer(answer));
    for (const ToolCall& call : answer.tool_calls) {
      MadeCall made;
      made.name = call.name;
      made.turn = turn;
      made.earlier = turns_of[call.name].size() - turns_of[call.name].count(turn);
      turns_of[call.name].insert(turn);
      const auto arguments = nlohmann::json::parse(call.arguments, nullptr, false);
      if (arguments.is_object()) {
        for (const auto& [key, value] : arguments.items()) {
          made.arguments[key] =
              value.is_string()
                  ? value.get<std::string>()
                  : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        }
      }
      play.calls.push_back(std::move(made));
    }
  }
  play.last = play.texts.empty() ? "" : play.texts.back();
  return play;
}

bool has_number(std::string_view text, std::string_view number) {
  size_t at = 0;
  while (at < text.size()) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && (is_digit(text[end]) || text[end] == ',' || text[end] == '.')) {
      ++end;
    }
    if (end - at < 32 && canonical(text.substr(at, end - at)) == number) return true;
    at = end;
  }
  return false;
}

bool asks_about(std::string_view text, std::initializer_list<std::string_view> subjects) {
  const std::string all = plain(text);
  std::string_view rest = all;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find_first_of(".!?\n"), rest.size());
    const std::string_view sentence = rest.substr(0, end);
    const bool question = end < rest.size() && rest[end] == '?';
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if ((!question && !requests(sentence)) || contains_words(sentence, "anything else")) continue;
    const bool about = std::any_of(subjects.begin(), subjects.end(), [&](std::string_view subject) {
      return sentence.find(subject) != sentence.npos;
    });
    if (about) return true;
  }
  return false;
}

bool says(std::string_view text, std::initializer_list<std::string_view> phrases) {
  const std::string all = plain(text);
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](std::string_view phrase) { return contains_words(all, phrase); });
}

}  // namespace ds4::suites::toolcall15
