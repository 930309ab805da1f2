#!/usr/bin/env bash
# What the harness itself costs: runs of the null target at two sizes, so that what a run costs once
# and what each case costs come apart. harness.sh DS4_SWEEP [REPEATS]; medians over the repeats.
set -euo pipefail
sweep=$(realpath "$1")
repeats=${2:-7}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"

TIMEFORMAT='%R %U %S'
measure() {  # measure CASES: appends "wall cpu", in seconds, of a run with so many cases
  printf 'target = "null"\n[[suite]]\nname = "arithmetic"\ncases = %d\n' "$1" >"p$1.toml"
  rm -f r.db*
  { time "$sweep" run "p$1.toml" --db r.db --quiet >/dev/null; } 2>took
  awk '{ print $1, $2 + $3 }' took >>"times$1"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

small=100
large=2000
for _ in $(seq "$repeats"); do
  measure "$small"
  measure "$large"
done
for column in 1 2; do
  awk -v s="$(cut -d' ' -f$column "times$small" | median)" -v l="$(cut -d' ' -f$column "times$large" | median)" \
    -v a="$small" -v b="$large" -v name="$([ $column = 1 ] && echo wall || echo processors)" 'BEGIN {
    per = (l - s) / (b - a)
    printf "%-10s  %d cases %.3f s, %d cases %.3f s: %.0f us a case, %.3f s a run\n", name, a, s, b, l, per * 1e6, s - a * per
  }'
done
