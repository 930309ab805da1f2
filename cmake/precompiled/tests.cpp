// A target with a precompiled header needs a file to compile.
#include "cmake/precompiled/tests.h"
