#include "reports/store/json_tags.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace ds4::reports {

std::string tags_to_json(const std::map<std::string, std::string>& tags) {
  return nlohmann::json(tags).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::map<std::string, std::string> tags_from_json(const std::string& json) {
  try {
    return nlohmann::json::parse(json).get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kIo, "stored tags `" + json + "` are damaged: " + e.what(),
                "Restore the database from a copy.");
  }
}

}  // namespace ds4::reports
