// Tags of a case as a JSON object of strings, the form they have in the database.
#pragma once

#include <map>
#include <string>

namespace ds4::reports {

std::string tags_to_json(const std::map<std::string, std::string>& tags);
/// Throws Error(kIo) when the text is not an object of strings.
std::map<std::string, std::string> tags_from_json(const std::string& json);

}  // namespace ds4::reports
