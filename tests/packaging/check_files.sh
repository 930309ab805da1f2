#!/usr/bin/env bash
# Lints packaging/nightly: check_files.sh FOLDER. What a missing tool would have checked is named.
set -euo pipefail
cd "$1"
failed=0
fail() { echo "FAILED: $*"; failed=1; }

bash -n ds4-nightly || fail "ds4-nightly is no bash"
[ -x ds4-nightly ] || fail "ds4-nightly may not be executed"
if command -v shellcheck >/dev/null; then
  shellcheck ds4-nightly || fail shellcheck
else
  echo "not checked: shellcheck is not installed"
fi

# FILE SECTION KEY: a line "KEY=something" in that section.
require() {
  awk -v section="[$2]" -v key="$3=" '
    /^\[/ { inside = $0 == section }
    inside && index($0, key) == 1 && length($0) > length(key) { found = 1 }
    END { exit !found }' "$1" || fail "$1: no $3= in [$2]"
}
for key in Type User ExecStart StateDirectory LimitMEMLOCK OOMScoreAdjust KillSignal TimeoutStartSec; do
  require ds4-nightly.service Service "$key"
done
require ds4-nightly.service Unit Description
require ds4-nightly.timer Timer OnCalendar
require ds4-nightly.timer Install WantedBy
! grep -q '^PrivateTmp=yes' ds4-nightly.service || fail "PrivateTmp hides the lock in /tmp"

if command -v systemd-analyze >/dev/null; then
  units=$(mktemp -d)
  trap 'rm -r "$units"' EXIT
  cp ds4-nightly.timer "$units"
  # What it starts is not installed here.
  sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' ds4-nightly.service >"$units/ds4-nightly.service"
  words=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify "$units/ds4-nightly.service" "$units/ds4-nightly.timer" 2>&1 |
    grep ds4-nightly || true)
  [ -z "$words" ] || fail "systemd-analyze verify: $words"
  systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' ds4-nightly.timer)" >/dev/null || fail OnCalendar
else
  echo "not checked: systemd-analyze is not installed"
fi

if python3 -c 'import yaml' 2>/dev/null; then
  python3 - github-workflow.yml <<'PYTHON' || fail github-workflow.yml
import sys, yaml
flow = yaml.safe_load(open(sys.argv[1]))
on = flow.get("on", flow.get(True))  # YAML 1.1 reads `on` as a boolean
assert on["schedule"][0]["cron"].count(" ") == 4, "cron"
assert flow["concurrency"]["cancel-in-progress"] is False, "a night must not end another"
job = flow["jobs"]["measure"]
assert "self-hosted" in job["runs-on"] and job["timeout-minutes"] > 0
assert all(("uses" in s) != ("run" in s) for s in job["steps"]), "a step uses or runs"
assert any("ds4-nightly" in s.get("run", "") for s in job["steps"]), "nothing is measured"
uploads = [s for s in job["steps"] if "upload-artifact" in s.get("uses", "")]
assert uploads and uploads[0]["if"] == "always()", "reports of a bad night are lost"
PYTHON
else
  echo "not checked: github-workflow.yml, python3-yaml is not installed"
fi
exit "$failed"
