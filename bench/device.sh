#!/usr/bin/env bash
# Measures a model on a card: bench/device.sh <model> [texts.jsonl]
# Takes the model in fp32 and, where it has that graph, in fp16, on EMBEDDING_DEVICE (cuda) and EMBEDDING_DEVICE_ID (0).
# The table of each precision, and how busy the card was meanwhile, go to stdout: they are what docs/benchmarks.md lacks.
set -euo pipefail
cd "$(dirname "$0")/.."

model=${1:?usage: bench/device.sh <model> [texts.jsonl]}
corpus=${2:-examples/postgres-docs/passages.jsonl}
export EMBEDDING_DEVICE=${EMBEDDING_DEVICE:-cuda} EMBEDDING_DEVICE_ID=${EMBEDDING_DEVICE_ID:-0}
# WebGPU has no numbers.
if [ "$EMBEDDING_DEVICE" = webgpu ]; then unset EMBEDDING_DEVICE_ID; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A card needs more than the example has: 20,000 texts, the corpus over and over.
while [ "$(wc -l 2>/dev/null < "$work/texts.jsonl" || echo 0)" -lt 20000 ]; do cat "$corpus" >> "$work/texts.jsonl"; done

echo "## $(date -u +%F), $(node -p 'process.version'), onnxruntime-node $(node -p "require('onnxruntime-node/package.json').version")"
if command -v nvidia-smi > /dev/null; then
  nvidia-smi --query-gpu=index,name,driver_version,memory.total,power.limit --format=csv
else
  echo 'nvidia-smi was not found: how busy the card is stays unknown.'
fi

for dtype in fp32 fp16; do
  echo
  echo "### $model, $dtype, $EMBEDDING_DEVICE"
  if command -v nvidia-smi > /dev/null; then
    nvidia-smi -i "${EMBEDDING_DEVICE_ID:-0}" --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -lms 500 > "$work/busy" &
    watcher=$!
  fi
  EMBEDDING_DTYPE=$dtype npx reembed bench --model "$model" --texts "$work/texts.jsonl" --limit 20000 || echo "$dtype was not measured."
  if [ -n "${watcher:-}" ]; then
    kill "$watcher"
    wait "$watcher" 2> /dev/null || true
    unset watcher
    awk -F', ' '{ if ($2 > most) most = $2; if ($1 > 5) { busy += $1; n++ } } END { if (n) printf "The card was %.0f%% busy while at work and held %d MB at most.\n", busy / n, most }' "$work/busy"
  fi
done
