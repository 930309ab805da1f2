// `probe --checkpoint`: the roofline of a checkpoint as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "runners/roofline/roofline.h"

namespace ds4::cli {

/// One table per machine, and what a token costs by component.
std::string roofline_text(const runners::RooflineQuestion& question,
                          const std::vector<runners::Roofline>& rooflines);
/// "ds4-roofline-1".
std::string roofline_json(const runners::RooflineQuestion& question,
                          const std::vector<runners::Roofline>& rooflines);

}  // namespace ds4::cli
