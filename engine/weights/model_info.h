// What an opened checkpoint is, in the words of engine/api/session.h.
#pragma once

#include "engine/api/session.h"
#include "engine/weights/structure.h"

namespace ds4::weights {

ModelInfo model_info(const OpenedModel& opened);

}  // namespace ds4::weights
