#include "suites/common/scripts.h"

namespace ds4::suites {

Script script_of(uint32_t c) {
  struct Range {
    uint32_t first, last;
    Script script;
  };
  static constexpr Range kRanges[] = {
      {'A', 'Z', kLatin},        {'a', 'z', kLatin},        {0xc0, 0x24f, kLatin},
      {0x370, 0x3ff, kGreek},    {0x400, 0x52f, kCyrillic}, {0x590, 0x5ff, kHebrew},
      {0x600, 0x6ff, kArabic},   {0x900, 0xdff, kIndic},    {0xe00, 0xe7f, kThai},
      {0x1100, 0x11ff, kHangul}, {0x3040, 0x30ff, kKana},   {0x3400, 0x4dbf, kHan},
      {0x4e00, 0x9fff, kHan},    {0xac00, 0xd7af, kHangul}, {0xf900, 0xfaff, kHan},
  };
  for (const Range& range : kRanges) {
    if (c >= range.first && c <= range.last) return range.script;
  }
  return kNoScript;
}

}  // namespace ds4::suites
