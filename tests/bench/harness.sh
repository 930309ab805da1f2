#!/usr/bin/env bash
# What the harness itself costs, from runs of targets that cost nothing: differences between runs
# that differ in one thing. harness.sh DS4_SWEEP [REPEATS]; medians over the repeats, each with the
# least and the most, since the machine is rarely alone. Needs no model; writes to TMPDIR.
set -euo pipefail
sweep=$(realpath "$1")
repeats=${2:-9}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"

# profile NAME TARGET SUITE MORE
profile() { printf 'target = "%s"\n[[suite]]\n%s\n%s\n' "$2" "$3" "$4" >"$1.toml"; }
few='name = "arithmetic"
cases = 100'
many='name = "arithmetic"
cases = 2000'
profile few null "$few" ''
profile many null "$many" ''
profile unguarded null "$few" $'[guard]\nenabled = false'
profile launches null "$few" $'[sweep]\nrepeats = 6'
profile sentinel null "$few" $'[sweep]\nsentinel = true'
# Twenty cases of half a second: what the guard takes while a target works.
printf '{"rules": [{"text": "OK", "delay_ms": 500}]}' >script.json
for name in slow slow_unguarded; do
  printf 'target = "scripted"\nscript = "script.json"\n[[suite]]\nname = "smoke"\n' >$name.toml
done
printf '[guard]\nenabled = false\n' >>slow_unguarded.toml

TIMEFORMAT='%R %U %S'
names='few many unguarded launches sentinel slow slow_unguarded'
for _ in $(seq "$repeats"); do
  for name in $names; do
    rm -f r.db*
    { time "$sweep" run "$name.toml" --db r.db --quiet >/dev/null || true; } 2>took
    awk '{ print $1, $2 + $3 }' took >>"$name.times"
  done
done

# value NAME COLUMN: the median in seconds; COLUMN 1 = wall, 2 = processors.
value() { cut -d' ' -f"$2" "$1.times" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
spread() { cut -d' ' -f"$2" "$1.times" | sort -n | sed -n '1p;$p' | paste -sd' ' | sed 's/ / to /'; }
# line WHAT FACTOR UNIT EXPRESSION-OF-NAMES: the same expression by wall and by processors.
line() {
  local wall=$4 cpu=$4 name
  for name in slow_unguarded unguarded launches sentinel slow many few; do
    wall=${wall//@$name@/$(value $name 1)} cpu=${cpu//@$name@/$(value $name 2)}
  done
  awk -v what="$1" "BEGIN { printf \"%-42s %9.1f %9.1f  %s\n\", what, ($wall) * $2, ($cpu) * $2, \"$3\" }"
}
printf '%-42s %9s %9s\n' '' wall processor
line 'a case' 1e6 us '(@many@ - @few@) / 1900'
line 'a run, without its cases' 1e3 ms '@few@ - 100 * (@many@ - @few@) / 1900'
line 'a further launch, without its cases' 1e3 ms '(@launches@ - @few@) / 5 - 100 * (@many@ - @few@) / 1900'
line 'of a launch, the guard' 1e3 ms '@few@ - @unguarded@'
line 'the sentinel around a launch' 1e3 ms '@sentinel@ - @few@'
line 'the guard over 10 s of work' 1e3 ms '@slow@ - @slow_unguarded@'
printf '\nseconds a run, least to most of %d:\n' "$repeats"
for name in $names; do printf '  %-15s %s\n' "$name" "$(spread "$name" 1)"; done
