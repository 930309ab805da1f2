#include "profiles/exchange/draft.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "profiles/schema/profile.h"

namespace ds4::profiles {
namespace {

// The published needle ladder and its continuation; prompts that leave room for an answer.
constexpr int64_t kLadder[] = {8192, 32768, 65536, 136000, 186000, 400000, 800000};
constexpr int64_t kAnswer = 4096, kShortestNeedle = 2048;

// A number is written as one where that loses nothing: 0.88, but "6G" and "010" as text.
std::string toml_value(const std::string& text) {
  int64_t integer = 0;
  double real = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, integer).ptr == end && std::to_string(integer) == text) {
    return text;
  }
  const auto [stop, error] = std::from_chars(text.data(), end, real);
  if (error == std::errc() && stop == end && text.find('.') != std::string::npos &&
      text.find_first_not_of("0123456789.-") == std::string::npos) {
    char again[32];
    const auto written = std::to_chars(again, again + sizeof again, real).ptr;
    if (std::string_view(again, static_cast<size_t>(written - again)) == text) return text;
  }
  return toml_string(text);
}

std::string toml_key(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](const char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare ? key : toml_string(key);
}

// Text of a comment: on one line, whatever the foreign file held.
std::string comment(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

void add_section(std::string& out, const Draft& draft, const std::string& section) {
  for (const Draft::Setting& setting : draft.settings) {
    if (!setting.key.starts_with(section + ".")) continue;
    out += setting.key.substr(section.size() + 1) + " = " + setting.value + "  # " +
           comment(setting.from) + "\n";
  }
}

void add_pairs(std::string& out, const char* section, const LaunchPairs& pairs) {
  if (pairs.empty()) return;
  out += std::string("\n[launch.") + section + "]\n";
  for (const auto& [key, value] : pairs) out += toml_key(key) + " = " + toml_value(value) + "\n";
}

void add_suites(std::string& out, const Draft& draft) {
  const int64_t context = std::stoll(draft.setting("engine.context_length", "8192"));
  const bool thinking = draft.thinking.value_or(false);
  const std::string think = thinking ? "thinking = true\n" : "";
  const auto answer = [&](int64_t tokens) {
    return "max_tokens = " + std::to_string(std::min(tokens, std::max<int64_t>(context / 2, 1))) +
           "\n";
  };
  out += "\n[[suite]]\nname = \"smoke\"\nstyle = \"instructed\"\n" + think +
         answer(thinking ? kAnswer : 96);
  std::string lengths;
  int64_t longest = 0;
  for (const int64_t length : kLadder) {
    if (length + kAnswer > context) break;
    lengths += (lengths.empty() ? "" : ", ") + std::to_string(length);
    longest = length;
  }
  if (lengths.empty() && context >= 2 * kShortestNeedle) {
    longest = kShortestNeedle;
    lengths = std::to_string(longest);
  }
  if (lengths.empty()) return;  // no room for a text to search
  out += "\n[[suite]]\nname = \"needle\"\nlengths = [" + lengths +
         "]\nsamples = [4]  # every length modulo 4 once\ndepths = [0.72]\n"
         "variants = [\"single\"]\nstyle = \"instructed\"\n" +
         think + answer(thinking ? kAnswer : 96);
  out += "\n[[suite]]\nname = \"speed\"\nlengths = [" + std::to_string(longest) +
         "]\nsamples = [3]\nmax_tokens = 256\n";
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    constexpr char kHex[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void Draft::set(const std::string& key, const std::string& value, const Note& from) {
  const std::string problem = setting_problem(key, value);
  if (!problem.empty()) {
    Note note = from;
    note.reason = "not a value here: " + problem;
    notes.push_back(std::move(note));
    return;
  }
  std::erase_if(settings, [&](const Setting& setting) { return setting.key == key; });
  settings.push_back({key, value, from.key});
}

void Draft::flag(const LaunchFlag& flag) {
  for (LaunchFlag& there : launch.flags) {
    if (there.name != flag.name) continue;
    there = flag;
    return;
  }
  launch.flags.push_back(flag);
}

std::string Draft::setting(const std::string& key, const std::string& missing) const {
  for (const Setting& setting : settings) {
    if (setting.key == key) return setting.value;
  }
  return missing;
}

std::string to_toml(const Draft& draft) {
  std::string out =
      "# Made by `ds4-sweep import` (docs/import.md) from " + toml_string(draft.origin) + ".\n";
  out += "name = " + toml_string(draft.name) + "\n";
  out += "description = " + toml_string(draft.description) + "\n";
  if (draft.checkpoint.empty()) {
    out +=
        "checkpoint = \"checkpoint\"  # not named: put the weights there, or --set "
        "checkpoint=DIR\n";
  } else {
    out += "checkpoint = " + toml_string(draft.checkpoint);
    out += draft.checkpoint.starts_with("synthetic:")
               ? "  # generated weights, for memory and speed; for answers: --set checkpoint=DIR\n"
               : "\n";
  }
  out += "target = \"engine\"\n\n[engine]\ndevice = \"cuda\"\n";
  add_section(out, draft, "engine");
  add_suites(out, draft);
  out += "\n[limits]\ncell_timeout = \"8h\"\ncase_timeout = \"1h\"\n";
  add_section(out, draft, "limits");
  out += "\n# How another server is started with these settings: `ds4-sweep export` writes it.\n";
  out += "[launch]\nserver = " + toml_string(draft.launch.server) + "\n";
  const std::pair<const char*, const std::string*> texts[] = {
      {"model", &draft.launch.model},
      {"revision", &draft.launch.revision},
      {"image", &draft.launch.image},
      {"container", &draft.launch.container}};
  for (const auto& [key, text] : texts) {
    if (!text->empty()) out += std::string(key) + " = " + toml_string(*text) + "\n";
  }
  if (!draft.launch.flags.empty()) out += "\n[launch.flags]\n";
  for (const LaunchFlag& flag : draft.launch.flags) {
    out += toml_key(flag.name) + " = " + (flag.bare ? "true" : toml_value(flag.value)) + "\n";
  }
  add_pairs(out, "env", draft.launch.env);
  add_pairs(out, "launcher", draft.launch.launcher);
  if (!draft.notes.empty()) out += "\n# Not taken over:\n";
  for (const Note& note : draft.notes) {
    out += "#   " + (note.key.empty() ? "" : toml_key(note.key) + " = ") + toml_string(note.value) +
           ": " + comment(note.reason) + "\n";
  }
  return out;
}

}  // namespace ds4::profiles
