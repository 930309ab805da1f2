// A profile in the making: what an import has understood of a foreign file, and what it has not.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "profiles/schema/launch.h"

namespace ds4::profiles {

/// A key that did not become a setting.
struct Note {
  std::string place;  // "k160.env:7"
  std::string key, value;
  std::string reason;
  bool unknown = false;  // no table of ours has the key
};

struct Draft {
  std::string origin;  // the file, for comments
  std::string name, description;
  std::string checkpoint;  // "" = none is named
  struct Setting {
    std::string key;    // "engine.context_length", "limits.memory_floor"
    std::string value;  // TOML
    std::string from;   // "CONTEXT_LENGTH"
  };
  std::vector<Setting> settings;  // a key once
  std::optional<bool> thinking;
  LaunchSection launch;
  std::vector<Note> notes;

  /// Sets a key unless the schema refuses the value; then it is noted with the reason.
  void set(const std::string& key, const std::string& value, const Note& from);
  void flag(const LaunchFlag& flag);  // replaces one of the same name
  /// The value of a setting, or `missing`.
  std::string setting(const std::string& key, const std::string& missing) const;
};

/// A file read by an import, as a profile of ours.
struct Imported {
  std::string toml;
  std::vector<Note> notes;
};

/// The draft as a profile: settings, tests that its context has room for, [limits], [launch], and
/// the notes as comments. It loads (parse_profile) unless the foreign file held bytes that are no
/// text.
std::string to_toml(const Draft& draft);

/// A string as TOML writes it, on one line.
std::string toml_string(std::string_view text);

}  // namespace ds4::profiles
