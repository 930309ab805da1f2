// Hyper-connections around each sublayer (model.md 3.2).
#include "engine/model/mechanisms.h"

namespace ds4::model {

void enter_sublayer(const Pass& pass, const weights::HyperConnection& hc,
                    std::span<const float> norm) {
  pass.ops.mix_in(hc, pass.mix_settings(), norm, pass.n(), pass.at.h, pass.at.mix, pass.at.x);
}

void leave_sublayer(const Pass& pass) {
  pass.ops.mix_out(pass.config.hc_mult, pass.n(), pass.at.y, pass.at.mix, pass.at.h);
}

}  // namespace ds4::model
