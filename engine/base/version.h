// Version, commit and dirty flag of this build; written by cmake/write_version.cmake.
#pragma once

namespace ds4 {

extern const char* const kVersion;  // "0.1.0"
extern const char* const kCommit;   // full git hash, or "unknown" outside a clone
extern const bool kDirty;           // tracked files differed from the commit at build time

}  // namespace ds4
