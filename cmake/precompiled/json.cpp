// The code of JSON that json.h says is elsewhere.
#include "cmake/precompiled/json.h"

#ifdef DS4_JSON_ONCE
DS4_JSON_ONCE();
#endif
