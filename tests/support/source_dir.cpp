#include "tests/support/source_dir.h"

namespace ds4::test_support {

std::filesystem::path source_dir() {
  return DS4_SOURCE_DIR;
}

}  // namespace ds4::test_support
