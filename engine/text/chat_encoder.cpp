// render_prompt of engine/api/text.h: writes the turns of a conversation as prompt text
// (model.md 6.3-6.5). The fixed texts are in chat_texts, the reordering in chat_preprocess.
#include <algorithm>
#include <array>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "engine/text/chat_preprocess.h"
#include "engine/text/chat_texts.h"
#include "engine/text/markers.h"
#include "engine/text/python_json.h"

namespace ds4 {
namespace text {
namespace {

constexpr std::array<std::string_view, 6> kTasks = {"action", "query", "authority",
                                                    "domain", "title", "read_url"};

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kUsage, what, hint);
}

std::string concat(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

std::string python_object(const std::string& json, const std::string& what) {
  const auto document = read_json(json);
  if (!document || document->kind != JsonDocument::Kind::kObject) {
    refuse(what + " is not a JSON object", "Pass the object as JSON text.");
  }
  return document->text;
}

// The parameters of a call. Clients also send the object as a JSON string; it is unpacked once.
std::vector<JsonMember> call_parameters(const ToolCall& call) {
  auto document = read_json(call.arguments);
  if (document && document->kind == JsonDocument::Kind::kString) {
    document = read_json(std::string(document->text));
    if (!document) return {{"arguments", true, call.arguments}};
  }
  if (!document) return {{"arguments", true, call.arguments}};
  if (document->kind != JsonDocument::Kind::kObject) {
    refuse("the arguments of the call of `" + call.name + "` are JSON, but no object",
           "Pass arguments as a JSON object, by parameter name.");
  }
  return std::move(document->members);
}

std::string tool_calls_block(const std::vector<ToolCall>& calls) {
  std::string out = concat({"\n\n", kToolCallsOpen, ">\n"});
  for (const ToolCall& call : calls) {
    out += concat({kInvokeOpen, " name=\"", call.name, "\">\n"});
    std::string body;
    for (const JsonMember& parameter : call_parameters(call)) {
      if (!body.empty()) body += "\n";
      body += concat({kParameterOpen, " name=\"", parameter.key, "\" string=\"",
                      parameter.is_string ? "true" : "false", "\">", parameter.text,
                      kParameterClose, ">"});
    }
    out += concat({body, "\n", kInvokeClose, ">\n"});
  }
  return concat({out, kToolCallsClose, ">"});
}

class Renderer {
 public:
  Renderer(const Conversation& conversation, Release release)
      : conversation_(conversation),
        is_thinking_(conversation.thinking == ThinkingMode::kThinking),
        effort_(effort_prefix(conversation.reasoning_effort, release)),
        turns_(preprocess(conversation)) {}

  std::string render() {
    if (!conversation_.has_context_prefix) out_ += kBos;
    // After a context prefix the first message of the conversation is already written.
    if (is_thinking_ && !conversation_.has_context_prefix && !turns_.list.empty()) out_ += effort_;
    for (size_t i = 0; i < turns_.list.size(); ++i) {
      render_turn(i);
      render_transition(i);
    }
    return std::move(out_);
  }

 private:
  const Message& message(size_t i) const { return turns_.list[i].message; }

  void render_turn(size_t i) {
    const std::string& role = message(i).role;
    if (role == "system") {
      render_instructions(message(i));
    } else if (role == "developer") {
      out_ += kUser;
      render_instructions(message(i));
    } else if (role == "user") {
      render_user(turns_.list[i]);
    } else if (role == "latest_reminder") {
      out_ += kLatestReminder;
      out_ += message(i).content;
    } else if (role == "assistant") {
      render_assistant(i);
    } else {
      refuse("a message has the unknown role `" + role + "`",
             "Use system, user, assistant, tool, latest_reminder or developer.");
    }
  }

  void render_instructions(const Message& m) {
    out_ += m.content;
    if (!m.tools.empty()) {
      std::vector<std::string> schemas;
      for (size_t i = 0; i < m.tools.size(); ++i) {
        schemas.push_back(python_object(m.tools[i], "tool " + std::to_string(i)));
      }
      out_ += "\n\n" + tools_block(schemas);
    }
    if (!m.response_format.empty()) {
      out_ += kResponseFormatIntro;
      out_ += python_object(m.response_format, "the response format");
    }
  }

  void render_user(const Turn& turn) {
    out_ += kUser;
    for (size_t i = 0; i < turn.blocks.size(); ++i) {
      const Block& block = turn.blocks[i];
      if (i > 0) out_ += "\n\n";
      out_ += block.is_tool_result ? "<tool_result>" + block.text + "</tool_result>" : block.text;
    }
  }

  // Old turns keep their reasoning only while nothing is dropped (model.md 6.3).
  bool keeps_thinking(size_t i, int first) const {
    return is_thinking_ && (!turns_.drop_thinking || static_cast<int>(i) >= first);
  }

  void render_assistant(size_t i) {
    const Message& m = message(i);
    const bool answers_task = i > 0 && !message(i - 1).task.empty();
    if (keeps_thinking(i, turns_.last_user + 1) && !answers_task) {
      out_ += m.reasoning_content;
      out_ += kThinkEnd;
    }
    out_ += m.content;
    if (!m.tool_calls.empty()) out_ += tool_calls_block(m.tool_calls);
    if (!m.without_eos) out_ += kEos;
  }

  void render_transition(size_t i) {
    const bool is_last = i + 1 == turns_.list.size();
    if (!is_last && message(i + 1).role != "assistant" &&
        message(i + 1).role != "latest_reminder") {
      return;
    }
    const Message& m = message(i);
    if (!m.task.empty()) {
      render_task(m.task);
    } else if (m.role == "user" || m.role == "developer") {
      out_ += kAssistant;
      out_ += keeps_thinking(i, turns_.last_user) ? kThinkBegin : kThinkEnd;
    }
  }

  void render_task(const std::string& task) {
    if (std::find(kTasks.begin(), kTasks.end(), task) == kTasks.end()) {
      refuse("a message has the unknown task `" + task + "`",
             "Use action, query, authority, domain, title or read_url.");
    }
    if (task == "action") {
      out_ += kAssistant;
      out_ += is_thinking_ ? kThinkBegin : kThinkEnd;
    }
    out_ += "<｜" + task + "｜>";
  }

  const Conversation& conversation_;
  bool is_thinking_;
  std::string_view effort_;
  Turns turns_;
  std::string out_;
};

}  // namespace
}  // namespace text

std::string render_prompt(const Conversation& conversation, Release release) {
  return text::Renderer(conversation, release).render();
}

}  // namespace ds4
