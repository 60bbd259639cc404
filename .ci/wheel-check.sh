#!/usr/bin/env bash
# Builds wheels of the core and two plugins, installs them into an empty environment and trains there, away from the
# sources: what a user who installs packages gets.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for part in . plugins/kptk-vision plugins/kptk-contrastive; do
  "${PYTHON:-python3}" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels" "$root/$part"
done
"${PYTHON:-python3}" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet "$work"/wheels/*.whl tensorflow
cd "$work"
env/bin/kptk plugins check
env/bin/kptk train --plugin contrastive --epochs 1 --limit 1024 --out run
env/bin/kptk evaluate run --data mnist10k --limit 200 --quiet
test -s run/report.html
echo "wheels: ok"
