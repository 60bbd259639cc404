#!/bin/sh
# Makes the peers' own virtual environment: sh setup_peers.sh FOLDER
# lightly and torchvision are installed without their dependencies, which are listed and pinned in
# requirements-peers.txt: a torchvision built for CUDA must not pull in a CUDA build of PyTorch.
set -eu
[ $# -eq 1 ] || { echo "usage: sh setup_peers.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python3.11 -m venv "$1"
grep -v -E '^(lightly|torchvision)==' "$here/requirements-peers.txt" > "$1/with-dependencies.txt"
grep -E '^(lightly|torchvision)==' "$here/requirements-peers.txt" > "$1/without-dependencies.txt"
"$1/bin/pip" install --quiet -r "$1/with-dependencies.txt"
"$1/bin/pip" install --quiet --no-deps -r "$1/without-dependencies.txt"
"$1/bin/python" "$here/lightly_worker.py" --check
