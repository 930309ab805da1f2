// What a server answers, as the bytes it sends: whole replies, the events of a stream, errors. The
// reading side is piece.h and stream.h. Pure; knows no socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runners/openai/request.h"
#include "runners/openai/types.h"
#include "runners/targets/target.h"

namespace ds4::runners::openai {

/// What every object of one answer begins with.
struct ReplyHead {
  std::string id;  // "chatcmpl-..."; ids of tool calls are made from it
  std::string model;
  int64_t created = 0;  // seconds since 1970
};

/// A whole reply to `body`. `echoed` is the text of the prompt where Body::echo wants it.
std::string write_reply(const ReplyHead& head, const Body& body, const Response& response,
                        const std::string& echoed = {});

/// The same as a stream of server-sent events, each whole with its empty line.
class StreamWriter {
 public:
  StreamWriter(ReplyHead head, const Body& body) : head_(std::move(head)), body_(body) {}

  /// The role, or the echoed prompt.
  std::string begin(const std::string& echoed = {}) const;
  /// `prompt_tokens`: for the counts of every piece, where they are wanted.
  std::string pieces(const Pieces& pieces, int64_t prompt_tokens) const;
  /// Tool calls, the finish reason, counts where they are wanted, the end mark.
  std::string end(const Response& response) const;
  /// In place of all that is left.
  static std::string failed(const Refusal& refusal);
  /// Says nothing; keeps a connection awake.
  static std::string comment() { return ": still working\n\n"; }

 private:
  ReplyHead head_;
  const Body& body_;  // borrowed
};

/// {"error": {"message", "type", "param", "code"}}.
std::string write_error(const Refusal& refusal);

/// The list of the one model that is served.
std::string write_models(const ReplyHead& head, int64_t context_length);

}  // namespace ds4::runners::openai
