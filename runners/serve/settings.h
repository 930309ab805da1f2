// How a server is set up, as `ds4-sweep serve` was told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/api/text.h"
#include "runners/serve/listener.h"

namespace ds4::runners::serve {

struct Settings {
  std::string host = kLoopback;
  int port = 8000;             // 0 = any that is free
  std::string api_key = {};    // "" = none is asked for
  bool open = false;           // an address that others reach without a key, knowingly
  std::string model;           // the name that clients call it by
  int64_t context_length = 0;  // 0 = not known
  int64_t sequences = 1;       // answers at a time
  size_t most_waiting = 64;
  size_t most_body_bytes = size_t{32} << 20;
  ThinkingMode thinking = ThinkingMode::kChat;           // where a request says nothing
  bool quiet = false;                                    // no line for each request
  bool log_text = false;                                 // prompts and answers in those lines
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;  // none: nothing can be tokenized
  Release release = Release::kApril;
};

}  // namespace ds4::runners::serve
