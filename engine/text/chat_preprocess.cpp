#include "engine/text/chat_preprocess.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "engine/base/error.h"

namespace ds4::text {
namespace {

bool is_user_or_developer(const Turn& turn) {
  return turn.message.role == "user" || turn.message.role == "developer";
}

int last_user_index(const std::vector<Turn>& turns) {
  const auto found = std::find_if(turns.rbegin(), turns.rend(), is_user_or_developer);
  return static_cast<int>(turns.rend() - found) - 1;
}

std::string tool_result_text(const Message& message) {
  if (message.content_parts.empty()) return message.content;
  std::string out;
  for (size_t i = 0; i < message.content_parts.size(); ++i) {
    const ContentPart& part = message.content_parts[i];
    if (i > 0) out += "\n\n";
    out += part.type == "text" ? part.text : "[Unsupported " + part.type + "]";
  }
  return out;
}

std::vector<Turn> merge(const std::vector<Message>& messages) {
  std::vector<Turn> turns;
  for (const Message& message : messages) {
    if (message.role != "tool" && !message.content_parts.empty()) {
      throw Error(ErrorCode::kUsage,
                  "a message of role `" + message.role + "` has a list as its content",
                  "Only tool results may be lists; join the parts into one text.");
    }
    Turn* before = !turns.empty() && turns.back().message.role == "user" ? &turns.back() : nullptr;
    if (message.role == "tool") {
      if (before == nullptr) {
        before = &turns.emplace_back();
        before->message.role = "user";
      }
      before->blocks.push_back({true, tool_result_text(message), message.tool_call_id});
    } else if (message.role == "user") {
      if (before == nullptr || !before->message.task.empty())
        before = &turns.emplace_back(Turn{message, {}});
      before->blocks.push_back({false, message.content, ""});
    } else {
      turns.push_back({message, {}});
    }
  }
  return turns;
}

// Tool results of one turn take the order of the calls; texts between them keep their places.
void sort_tool_results(std::vector<Turn>& turns) {
  std::unordered_map<std::string, size_t> order;
  for (Turn& turn : turns) {
    if (turn.message.role == "assistant" && !turn.message.tool_calls.empty()) {
      order.clear();
      for (size_t i = 0; i < turn.message.tool_calls.size(); ++i) {
        const std::string& id = turn.message.tool_calls[i].id;
        if (!id.empty()) order[id] = i;
      }
    }
    std::vector<Block> results;
    for (const Block& block : turn.blocks) {
      if (block.is_tool_result) results.push_back(block);
    }
    const auto rank = [&](const Block& block) {
      const auto found = order.find(block.tool_call_id);
      return found == order.end() ? size_t{0} : found->second;
    };
    std::stable_sort(results.begin(), results.end(),
                     [&](const Block& a, const Block& b) { return rank(a) < rank(b); });
    auto next = results.begin();
    for (Block& block : turn.blocks) {
      if (block.is_tool_result) block = std::move(*next++);
    }
  }
}

void drop_old_thinking(std::vector<Turn>& turns) {
  const int last_user = last_user_index(turns);
  std::vector<Turn> kept;
  for (int i = 0; i < static_cast<int>(turns.size()); ++i) {
    Turn& turn = turns[static_cast<size_t>(i)];
    const std::string& role = turn.message.role;
    if (i < last_user) {
      if (role == "assistant") {
        turn.message.reasoning_content.clear();
      } else if (role != "user" && role != "system" && role != "latest_reminder") {
        continue;
      }
    }
    kept.push_back(std::move(turn));
  }
  turns = std::move(kept);
}

}  // namespace

Turns preprocess(const Conversation& conversation) {
  Turns turns;
  turns.list = merge(conversation.messages);
  sort_tool_results(turns.list);
  const bool has_tools = std::any_of(turns.list.begin(), turns.list.end(),
                                     [](const Turn& turn) { return !turn.message.tools.empty(); });
  turns.drop_thinking = conversation.drop_thinking && !has_tools;
  if (conversation.thinking == ThinkingMode::kThinking && turns.drop_thinking) {
    drop_old_thinking(turns.list);
  }
  turns.last_user = last_user_index(turns.list);
  return turns;
}

}  // namespace ds4::text
