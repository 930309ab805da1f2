#include "engine/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdexcept>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/text/pattern_dialect.h"

namespace ds4::text {
namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;
using CompileContext = std::unique_ptr<pcre2_compile_context, FreeContext>;

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string message_of(int error) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(error, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

class Pretokenizer::Stage {
 public:
  Stage(const SplitRule& rule, const std::string& source)
      : where_(source + ": `" + rule.key + "`") {
    std::string pattern = rule.pattern;
    if (!rule.is_literal) {
      try {
        pattern = to_pcre2_dialect(rule.pattern);
      } catch (const std::invalid_argument& problem) {
        refuse(problem.what());
      }
    }
    if (valid_utf8_prefix(pattern) != pattern.size()) refuse("not UTF-8");
    if (pattern.empty()) refuse("empty");

    const CompileContext context(pcre2_compile_context_create(nullptr));
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    // PCRE2_LITERAL refuses most other options; UCP means nothing to it.
    const uint32_t options =
        PCRE2_UTF | (rule.is_literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
    code_.reset(
        pcre2_compile(units(pattern), pattern.size(), options, &error, &offset, context.get()));
    if (!code_) refuse(message_of(error) + " near offset " + std::to_string(offset));
    // Where the JIT is missing, pcre2_match() below interprets: slower, same result.
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
  }

  MatchData match_data() const {
    MatchData data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (!data) throw std::bad_alloc();
    return data;
  }

  // `piece` must be valid UTF-8.
  void split(std::string_view piece, pcre2_match_data* data,
             std::vector<std::string_view>& out) const {
    size_t done = 0;
    for (size_t from = 0; from <= piece.size();) {
      const int count = match(piece, from, data);
      if (count == PCRE2_ERROR_NOMATCH) break;
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data);
      const size_t begin = range[0];
      const size_t end = range[1];
      if (begin > done) out.push_back(piece.substr(done, begin - done));
      if (end > begin) out.push_back(piece.substr(begin, end - begin));
      done = end;
      from = end;
      // After an empty match the search goes on one code point further.
      if (end == begin)
        from = end < piece.size() ? end + next_utf8(piece.substr(end)).length : end + 1;
    }
    if (done < piece.size()) out.push_back(piece.substr(done));
  }

 private:
  int match(std::string_view piece, size_t from, pcre2_match_data* data) const {
    // The text is known to be UTF-8; without this option every call would scan all of it again.
    int count = pcre2_match(code_.get(), units(piece), piece.size(), from, PCRE2_NO_UTF_CHECK, data,
                            nullptr);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
      count = pcre2_match(code_.get(), units(piece), piece.size(), from,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, nullptr);
    }
    if (count < 0 && count != PCRE2_ERROR_NOMATCH) refuse(message_of(count));
    return count;
  }

  [[noreturn]] void refuse(const std::string& problem) const {
    throw Error(ErrorCode::kCheckpoint, where_ + ": " + problem,
                "Use the tokenizer.json that belongs to the checkpoint, unchanged.");
  }

  std::string where_;
  Code code_;
};

Pretokenizer::Pretokenizer(const std::vector<SplitRule>& rules, const std::string& source) {
  for (const SplitRule& rule : rules) stages_.push_back(std::make_unique<Stage>(rule, source));
}

Pretokenizer::~Pretokenizer() = default;

void Pretokenizer::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  std::vector<MatchData> data;
  for (const auto& stage : stages_) data.push_back(stage->match_data());
  std::vector<std::string_view> now;
  std::vector<std::string_view> before;
  while (!text.empty()) {
    const size_t valid = valid_utf8_prefix(text);
    if (valid > 0) {
      now.assign(1, text.substr(0, valid));
      for (size_t i = 0; i < stages_.size(); ++i) {
        before.swap(now);
        now.clear();
        for (const std::string_view piece : before) stages_[i]->split(piece, data[i].get(), now);
      }
      pieces.insert(pieces.end(), now.begin(), now.end());
      text.remove_prefix(valid);
    } else {
      pieces.push_back(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
}

}  // namespace ds4::text
