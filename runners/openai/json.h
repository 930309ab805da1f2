// JSON from strangers: bounded in depth, and looked into without exceptions. Only for .cpp files.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ds4::runners::openai {

/// The value, or a discarded one when the text is no JSON or nests deeper than anything of the
/// protocol.
nlohmann::json parse_json(std::string_view text);

/// The same with the members of objects in the order they were written in, since prompts are made
/// of them; objects of more members than the protocol has are discarded, too.
nlohmann::ordered_json parse_ordered(std::string_view text);

/// The member if it is there and not null, else null.
const nlohmann::json* member(const nlohmann::json& object, const char* key);

/// The member as text, "" when it is absent or something else.
std::string text_of(const nlohmann::json& object, const char* key);

/// The member as a count, -1 when it is absent or none.
int64_t count_of(const nlohmann::json& object, const char* key);

/// One line of UTF-8; bytes that are none become U+FFFD.
std::string dump_json(const nlohmann::json& value);
std::string dump_json(const nlohmann::ordered_json& value);

}  // namespace ds4::runners::openai
