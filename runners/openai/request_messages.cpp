// The part of request.h that makes a conversation: messages, their parts and calls, and the tools.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "runners/openai/fields.h"
#include "runners/openai/json.h"

namespace ds4::runners::openai {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "latest_reminder"};

std::string place(const std::string& list, size_t i) {
  return list + "[" + std::to_string(i) + "]";
}

// Why a part cannot be asked, as it is said of `type`.
std::string text_of_part(const Json& part, const std::string& path, Problems& problems) {
  Fields fields(part, path, problems);
  std::string type, text;
  fields.text("type", type);
  if (type != "text" && type != "input_text" && type != "output_text" && type != "refusal") {
    problems.refuse(fields.path_of("type"),
                    "is \"" + type.substr(0, 32) + "\"; this model reads text parts only");
  }
  fields.text(type == "refusal" ? "refusal" : "text", text);
  return text;
}

// A list of parts is one text, the parts on lines of their own; a tool's result keeps them apart.
void read_content(Fields& fields, const std::string& path, Message& message) {
  const Json* content = fields.take("content");
  if (!content) return;
  if (content->is_string()) {
    message.content = content->get<std::string>();
  } else if (content->is_array()) {
    for (size_t i = 0; i < content->size(); ++i) {
      const std::string text =
          text_of_part((*content)[i], place(path + ".content", i), fields.problems());
      if (message.role == "tool") {
        message.content_parts.push_back({"text", text});
      } else {
        message.content += (i > 0 ? "\n" : "") + text;
      }
    }
  } else {
    fields.problems().refuse(path + ".content",
                             "must be a string or a list of parts, not " + kind_of(*content));
  }
}

// Arguments are JSON text in the protocol; some clients send the object itself.
void read_call(const Json& call, const std::string& path, Message& message, Problems& problems) {
  Fields fields(call, path, problems);
  ToolCall out;
  std::string type = "function";
  fields.text("id", out.id);
  fields.text("type", type);
  if (type != "function") problems.refuse(fields.path_of("type"), "must be \"function\"");
  const Json* function = fields.take("function");
  if (!function) {
    problems.refuse(fields.path_of("function"), "is missing");
    return;
  }
  Fields inner(*function, fields.path_of("function"), problems);
  inner.text("name", out.name);
  if (out.name.empty()) problems.refuse(inner.path_of("name"), "is missing");
  if (const Json* arguments = inner.take("arguments")) {
    if (arguments->is_string()) {
      out.arguments = arguments->get<std::string>();
    } else if (arguments->is_object()) {
      out.arguments = dump_json(*arguments);
    } else {
      problems.refuse(inner.path_of("arguments"), "must be a string, not " + kind_of(*arguments));
    }
  }
  if (out.arguments.empty()) out.arguments = "{}";
  message.tool_calls.push_back(std::move(out));
}

Message read_message(const Json& json, const std::string& path, Problems& problems) {
  Fields fields(json, path, problems);
  Message message;
  fields.text("role", message.role);
  if (std::find(kRoles.begin(), kRoles.end(), message.role) == kRoles.end()) {
    problems.refuse(fields.path_of("role"),
                    message.role.empty() ? "is missing"
                                         : "is \"" + message.role.substr(0, 32) +
                                               "\"; it must be system, developer, user, assistant, "
                                               "tool or latest_reminder");
  }
  read_content(fields, path, message);
  if (message.role == "assistant") {
    fields.text("reasoning", message.reasoning_content);
    fields.text("reasoning_content", message.reasoning_content);
    const Json* calls = fields.take("tool_calls");
    if (calls && !calls->is_array()) {
      problems.refuse(fields.path_of("tool_calls"), "must be a list, not " + kind_of(*calls));
    } else if (calls) {
      for (size_t i = 0; i < calls->size(); ++i) {
        read_call((*calls)[i], place(fields.path_of("tool_calls"), i), message, problems);
      }
    }
  } else if (message.role == "tool") {
    fields.text("tool_call_id", message.tool_call_id);
  }
  return message;
}

// The function objects as JSON text, their members in the order they were sent in.
std::vector<std::string> read_tools(const Json& tools, Problems& problems) {
  std::vector<std::string> out;
  if (!tools.is_array()) {
    problems.refuse("tools", "must be a list, not " + kind_of(tools));
    return out;
  }
  for (size_t i = 0; i < tools.size(); ++i) {
    Fields tool(tools[i], place("tools", i), problems);
    std::string type = "function";
    tool.text("type", type);
    if (type != "function") problems.refuse(tool.path_of("type"), "must be \"function\"");
    const Json* function = tool.take("function");
    if (!function) {
      problems.refuse(tool.path_of("function"), "is missing");
      return out;
    }
    Fields fields(*function, tool.path_of("function"), problems);
    std::string name;
    fields.text("name", name);
    if (name.empty()) problems.refuse(fields.path_of("name"), "is missing");
    const Json* parameters = fields.take("parameters");
    if (parameters && !parameters->is_object()) {
      problems.refuse(fields.path_of("parameters"),
                      "must be an object, not " + kind_of(*parameters));
    }
    out.push_back(dump_json(*function));
  }
  return out;
}

}  // namespace

void read_messages(Fields& fields, Body& body) {
  Problems& problems = fields.problems();
  std::vector<Message>& messages = body.conversation.messages;
  const Json* list = fields.take("messages");
  if (!list) {
    problems.refuse("messages", "is missing");
    return;
  }
  if (!list->is_array() || list->empty()) {
    problems.refuse("messages", "must be a list of at least one message");
    return;
  }
  for (size_t i = 0; i < list->size() && !problems.first(); ++i) {
    messages.push_back(read_message((*list)[i], place("messages", i), problems));
  }
  const Json* tools = fields.take("tools");
  if (!tools || problems.first()) return;
  std::vector<std::string> functions = read_tools(*tools, problems);
  if (functions.empty() || body.tool_choice == "none") return;
  // The model is told of its tools by the system message.
  if (messages.front().role != "system") {
    messages.emplace(messages.begin())->role = "system";
  }
  messages.front().tools = std::move(functions);
}

}  // namespace ds4::runners::openai
