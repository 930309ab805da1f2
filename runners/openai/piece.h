// One JSON object of a server's reply read into what it says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runners/openai/types.h"

namespace ds4::runners::openai {

/// An event's data or a whole reply. Never throws: what is not as the protocol says becomes
/// Piece::problem, what the server complains about Piece::error. Texts may begin and end within a
/// character (cut_text.h).
Piece read_piece(std::string_view json);

/// The server's own words in the body of a failed request ("message", "detail", ...), else the head
/// of the body; one line.
std::string read_error(std::string_view body);

struct Model {
  std::string id;
  std::string owner;            // "vllm", "llamacpp", ...; "" = not said
  int64_t context_length = -1;  // -1 = not said (only vLLM and SGLang do)
};

/// The reply to GET models; nothing when it is no such list.
std::vector<Model> read_models(std::string_view body);

/// Whether `text` is the mark that ends a stream.
bool is_end_mark(std::string_view data);

}  // namespace ds4::runners::openai
