// Text for a POSIX shell: one word, whatever is in it.
#pragma once

#include <string>
#include <string_view>

namespace ds4::profiles {

/// `text` as one word of a shell command or the value of an assignment; plain text stays plain.
std::string shell_word(std::string_view text);

}  // namespace ds4::profiles
