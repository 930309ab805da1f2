// The worker: one cell in a process of its own. Opens the target, runs the cases that are missing,
// and tells its supervisor about it, line by line (protocol.h).
#pragma once

#include <cstdio>

#include "runners/protocol.h"

namespace ds4::runners {

/// Runs an assignment, writing protocol lines to `out`. Returns the process's exit code: 0 when
/// every case was tried, else the code of the error that was reported. A target's errors about one
/// case are attempts with status "error"; they do not end the worker. SIGTERM while cases run
/// cancels them: they are reported with status "cancelled", and the process ends by that signal.
int run_worker(const Assignment& assignment, std::FILE* out);

/// What a case asks as the text that is stored and shown as the prompt of an attempt: each message
/// under its role, a raw prompt under "[text]" or "[tokens]".
std::string prompt_text(const suites::Case& c);

}  // namespace ds4::runners
