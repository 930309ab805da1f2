// What the text tests share: where the files are, a tokenizer small enough to read, random texts.
#pragma once

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/api/text.h"
#include "tests/support/source_dir.h"

namespace ds4::text::testing_support {

/// A file of the repository.
std::filesystem::path source_path(const std::string& relative);

using test_support::shared_path;

/// A tokenizer.json with all 256 bytes, a few merges and the added tokens that tests need.
/// Ids: byte b has id b; merged and added tokens follow.
std::string small_tokenizer_json();

/// A folder of its own that disappears with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Loads a tokenizer from the text of its file.
std::shared_ptr<const Tokenizer> load_text(const std::string& json);

/// Valid UTF-8 from all planes, biased towards ASCII, white space and punctuation.
std::string random_utf8(std::mt19937& rng, size_t n_code_points);

/// Any bytes at all.
std::string random_bytes(std::mt19937& rng, size_t n);

/// The lines of a file of {"text": ..., "ids": [...]} rows.
struct EncodeVector {
  std::string text;
  std::vector<TokenId> ids;
};
std::vector<EncodeVector> read_encode_vectors(const std::filesystem::path& file);

}  // namespace ds4::text::testing_support
