#include "runners/outcome/guard_act.h"

namespace ds4::runners::outcome {
namespace {

GuardAct::Kind kind_of(guard::Action action) {
  switch (action) {
    case guard::Action::kSoft:
    case guard::Action::kHard:
      return GuardAct::Kind::kKilled;
    case guard::Action::kRefused:
      return GuardAct::Kind::kRefused;
    case guard::Action::kLost:
      return GuardAct::Kind::kLost;
  }
  return GuardAct::Kind::kNone;
}

}  // namespace

GuardAct act_of(const guard::Verdict& verdict) {
  return {kind_of(verdict.action), std::string(name(verdict.phase)), explain(verdict)};
}

}  // namespace ds4::runners::outcome
