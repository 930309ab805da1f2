#include "engine/base/error.h"

namespace ds4 {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kProfile:
    case ErrorCode::kCheckpoint:
      return 2;
    case ErrorCode::kMachine:
    case ErrorCode::kIo:
      return 3;
  }
  return 5;
}

}  // namespace ds4
