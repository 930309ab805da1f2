#!/usr/bin/env bash
# Measures servers of others, for a look: tests/servers/run.sh build/release/ds4-sweep [FOLDER].
# Installs them from the npm registry into FOLDER (default: a folder of /tmp, kept); says why and
# ends well where node or the registry is missing. Never part of CI. docs/servers.md has the outcome.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
binary=$(realpath "$1")
folder=${2:-${TMPDIR:-/tmp}/ds4-other-servers}
for tool in node npm python3 curl; do
  command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 0; }
done
mkdir -p "$folder"
server=0
trap '[ $server -eq 0 ] || kill $server' EXIT

install() {  # FOLDER PACKAGE...; no scripts of theirs are run
  mkdir -p "$folder/$1"
  [ -e "$folder/$1/installed" ] && return
  (cd "$folder/$1" && echo '{}' >package.json &&
    timeout 600 npm install --ignore-scripts --no-audit --no-fund "${@:2}" >npm.log 2>&1) ||
    { echo "skipped: npm cannot install ${*:2} (see $folder/$1/npm.log)"; return 1; }
  touch "$folder/$1/installed"
}

measure() {  # FOLDER BASE MODEL COMMAND...
  local at=$folder/$1
  echo "== $1"
  (cd "$at" && exec "${@:4}" >server.log 2>&1) &
  server=$!
  for _ in $(seq 100); do
    curl -sf -m 1 "$2/models" >/dev/null && break
    sleep 0.2
  done
  rm -rf "$at/runs"
  timeout 300 "$binary" run "$here/profile.toml" --set "server.url=$2" --set "server.model=$3" \
    --db "$at/runs/r.db" -o "$at/runs/report" --no-lock -q || echo "exit code $?"
  kill $server
  wait $server 2>/dev/null || true
  server=0
}

if install mock-llm @dwmkerr/mock-llm@0.1.29; then
  measure mock-llm http://127.0.0.1:18102/v1 echo env HOST=127.0.0.1 PORT=18102 \
    node node_modules/@dwmkerr/mock-llm/dist/main.js --config "$here/mock_llm.yaml"
fi
if install aimock @copilotkit/aimock@1.43.0; then
  measure aimock http://127.0.0.1:18103/v1 gpt-4o \
    node node_modules/@copilotkit/aimock/dist/cli.js -p 18103 -f "$here/aimock.json" -c 3
fi
# inference-server: an OpenAI server around node-llama-cpp, which brings llama.cpp's library.
if install inference-server inference-server@1.0.0-beta.32 node-llama-cpp@3.6.0; then
  python3 "$here/make_gguf.py" "$folder/inference-server/tiny.gguf"
  measure inference-server http://127.0.0.1:18101/openai/v1 tiny \
    node "$here/inference_server.mjs" "$folder/inference-server/tiny.gguf" 18101
fi
echo "reports: $folder/*/runs/report"
