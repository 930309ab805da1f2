#!/usr/bin/env bash
# Regenerates docs/cli.md from the program's own --help: docs/make_cli.sh build/release/ds4-sweep
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")"
{
  echo "# Command line reference"
  echo
  echo "Made from \`--help\` by \`docs/make_cli.sh\`; a test fails when a verb or flag is missing here."
  for verb in $("$binary" --help | sed -n '/^Examples:/q;s/^  \([a-z]\{1,\}\) .*/\1/p'); do
    printf '\n## %s\n\n```\n' "$verb"
    "$binary" "$verb" --help
    for part in $("$binary" "$verb" --help | sed -n '/^Subcommands:/,/^[A-RT-Z]/s/^  \([a-z]\{1,\}\) .*/\1/p'); do
      echo
      "$binary" "$verb" "$part" --help
    done
    echo '```'
  done
} >cli.md
