#include "engine/text/synthetic_tokenizer.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/text/byte_map.h"
#include "engine/text/markers.h"

namespace ds4::text {
namespace {

using Json = nlohmann::json;

constexpr int kFirstByteId = 3;
constexpr int kVocabulary = 129280;

// model.md 6.1, "Known ids"; from 128826 on the ids are ours.
std::map<int, std::string> markers() {
  return {{0, std::string(kBos)},
          {1, std::string(kEos)},
          {2, "<｜▁pad▁｜>"},
          {128799, "<｜place▁holder▁no▁799｜>"},
          {128803, std::string(kUser)},
          {128804, std::string(kAssistant)},
          {128821, std::string(kThinkBegin)},
          {128822, std::string(kThinkEnd)},
          {128825, std::string(kDsml)},
          {128826, std::string(kLatestReminder)},
          {128827, "<｜action｜>"},
          {128828, "<｜query｜>"},
          {128829, "<｜authority｜>"},
          {128830, "<｜domain｜>"},
          {128831, "<｜title｜>"},
          {128832, "<｜read_url｜>"}};
}

}  // namespace

std::string synthetic_tokenizer_json() {
  const std::map<int, std::string> special = markers();
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(byte_symbol(static_cast<uint8_t>(byte)));
  std::sort(bytes.begin(), bytes.end());  // the vocabulary orders them by stand-in, not by byte

  Json vocab = Json::object();
  Json added = Json::array();
  for (int id = 0; id < kVocabulary; ++id) {
    const int byte = id - kFirstByteId;
    if (const auto marker = special.find(id); marker != special.end()) {
      added.push_back({{"id", id},
                       {"content", marker->second},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
    } else if (byte >= 0 && byte < 256) {
      vocab[bytes[static_cast<size_t>(byte)]] = id;
    } else {
      vocab["<" + std::to_string(id) + ">"] = id;
    }
  }
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const Json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"added_tokens", std::move(added)},
      {"model", {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", Json::array()}}}};
  return tokenizer.dump() + "\n";
}

}  // namespace ds4::text
