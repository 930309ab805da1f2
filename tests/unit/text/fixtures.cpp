#include "tests/unit/text/fixtures.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "engine/base/utf8.h"
#include "engine/text/byte_map.h"
#include "tests/support/source_dir.h"

namespace ds4::text::testing_support {

std::filesystem::path source_path(const std::string& relative) {
  return test_support::source_dir() / relative;
}

std::string small_tokenizer_json() {
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[byte_symbol(static_cast<uint8_t>(byte))] = byte;
  // Ranks in this order; "hello" and "Ġworld" are reachable, "low" is a token that no merge makes.
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"l", "l"}, {"h", "e"},     {"he", "ll"}, {"hell", "o"}, {"Ġ", "w"}, {"o", "r"}, {"Ġw", "or"},
      {"l", "d"}, {"Ġwor", "ld"}, {"a", "a"},   {"aa", "aa"},  {"1", "2"}, {"12", "3"}};
  int next = 256;
  auto list = nlohmann::json::array();
  for (const auto& [left, right] : merges) {
    vocab[left + right] = next++;
    list.push_back(left + " " + right);
  }
  vocab["low"] = next++;
  auto added = nlohmann::json::array();
  for (const char* token : {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>",
                            "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜", "<a", "<a b>"}) {
    added.push_back({{"id", next++}, {"content", token}, {"special", true}});
  }
  using Json = nlohmann::json;
  const auto split = [](const char* pattern) {
    return Json{{"type", "Split"},
                {"pattern", {{"Regex", pattern}}},
                {"behavior", "Isolated"},
                {"invert", false}};
  };
  Json json;
  json["added_tokens"] = added;
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       Json::array(
           {split(R"(\p{N}{1,3})"), split(R"( ?\p{L}+|\s+(?!\S)|\s+)"),
            Json{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}})}};
  json["decoder"] = {{"type", "ByteLevel"}};
  json["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}};
  return json.dump();
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = testing::TempDir() + "ds4-text-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::shared_ptr<const Tokenizer> load_text(const std::string& json) {
  const TemporaryFolder folder;
  write_file_atomic(folder.path() / "tokenizer.json", json);
  return Tokenizer::load(folder.path());
}

std::string random_utf8(std::mt19937& rng, size_t n_code_points) {
  static const std::string common = " \n\t\r.,;!?<>/\"'{}|abcdefghijklmnopqrstuvwxyz0123456789ABC";
  std::string out;
  for (size_t i = 0; i < n_code_points; ++i) {
    const uint32_t kind = rng() % 10;
    if (kind < 6) {
      out += common[rng() % common.size()];
    } else if (kind < 8) {
      append_utf8(out, rng() % 0x3100);
    } else {
      uint32_t code_point = rng() % 0x110000;
      if (code_point >= 0xD800 && code_point < 0xE000) code_point -= 0xD800;
      append_utf8(out, code_point);
    }
  }
  return out;
}

std::string random_bytes(std::mt19937& rng, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += static_cast<char>(rng());
  return out;
}

std::vector<EncodeVector> read_encode_vectors(const std::filesystem::path& file) {
  std::vector<EncodeVector> rows;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line);
    rows.push_back({row.at("text"), row.at("ids")});
  }
  return rows;
}

}  // namespace ds4::text::testing_support
