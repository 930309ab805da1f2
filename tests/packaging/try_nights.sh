#!/usr/bin/env bash
# Nights in a folder of its own, on a scripted target: try_nights.sh DS4_NIGHTLY DS4_SWEEP
set -euo pipefail
nightly=$1
export DS4_SWEEP=$2
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*"; cat log; exit 1; }
night() { local code=0; "$nightly" p.toml >log 2>&1 || code=$?; [ "$code" -eq "$1" ] || fail "$2: exit code $code, not $1"; }
green() { "$DS4_SWEEP" baseline list --db results.db; }

export DS4_SWEEP_DB=results.db
cat >p.toml <<'TOML'
name = "night"
target = "scripted"
script = "script.json"
[[suite]]
name = "smoke"
[[gate]]
suite = "smoke"
score = "normalised"
max = 0.5
TOML
# Answers that take a while, so that two nights differ by less than what counts as slower.
echo '{"rules": [{"delay_ms": 100, "text": "OK"}]}' >script.json
export GITHUB_STEP_SUMMARY=$folder/summary.md
night 0 "the first night"
[ -s summary.md ] || fail "no summary"
first=$(green)
[ -n "$first" ] || fail "the first night became no baseline"
sleep 1
night 0 "the second night"
second=$(green)
[ "$first" != "$second" ] || fail "a green night did not become the baseline"
ls nightly/*/report.html nightly/*/doctor.txt nightly/*/compare.txt nightly/*/run.xml nightly/*/compare.xml >/dev/null || fail "files are missing"
sleep 1
sed -i 's/^max = 0.5/min = 0.9/' p.toml
night 1 "a night whose gate fails"
[ "$(green)" = "$second" ] || fail "a failed night became the baseline"
sleep 1
echo '{"rules": [{"contains": "Japan", "end": "segv"}, {"delay_ms": 100, "text": "OK"}]}' >script.json
sed -i 's/^min = 0.9/max = 0.5/' p.toml
night 4 "a night with a crash"
[ "$(green)" = "$second" ] || fail "a crashed night became the baseline"
sleep 1
echo 'name = 3' >p.toml
night 2 "a profile that is none"
