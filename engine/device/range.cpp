#include "engine/device/range.h"

#include <nvtx3/nvToolsExt.h>

namespace ds4::device {

Range::Range(const char* name) {
  nvtxRangePushA(name);
}

Range::~Range() {
  nvtxRangePop();
}

}  // namespace ds4::device
