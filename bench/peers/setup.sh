#!/usr/bin/env bash
# Installs what reembed is compared with, into git-ignored folders beside this file: Python packages into .venv,
# transformers.js into .node. PYTHON names the interpreter (python3; 3.10 or newer).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
transformers_js=4.3.1
cpu_index=https://download.pytorch.org/whl/cpu

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "$python is older than Python 3.10: set PYTHON to a newer one." >&2
  exit 1
}
[ -x "$here/.venv/bin/python" ] || "$python" -m venv "$here/.venv"
pip() { "$here/.venv/bin/python" -m pip --disable-pip-version-check "$@"; }

torch=$(grep '^torch==' "$here/requirements.txt")
if "$here/.venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '${torch#torch==}')" 2>/dev/null; then
  echo "$torch is installed."
elif echo "Trying $torch for the CPU (about 200 MB) from $cpu_index" &&
  pip install --quiet --retries 0 --timeout 20 --index-url "$cpu_index" "$torch" 2>"$here/.venv/torch-cpu.log"; then
  echo "Installed $torch for the CPU."
else
  # The build of the package index cannot be imported without the CUDA libraries that it asks for, even on the CPU.
  echo "That failed ($(tail -n 1 "$here/.venv/torch-cpu.log")). Taking $torch from the package index: on Linux about 5 GB with its CUDA libraries."
  pip install --quiet "$torch"
fi
pip install --quiet --requirement "$here/requirements.txt"

# Without install scripts: the CPU binaries of onnxruntime-node and sharp lie inside their packages.
mkdir -p "$here/.node"
[ -f "$here/.node/package.json" ] || echo '{ "private": true }' >"$here/.node/package.json"
npm install --prefix "$here/.node" --ignore-scripts --no-audit --no-fund --loglevel=error \
  "@huggingface/transformers@$transformers_js"
echo "Ready: npm run bench:peers -- --model-dir <a directory with the fp32 model>"
