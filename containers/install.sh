#!/bin/sh
# Runs inside an image that is being built: makes the program's environment at /opt/wavenet from a folder of wheels and
# nothing else, and takes out what no run needs.
# usage: install.sh WHEELS VARIANT
set -eu
wheels=$1 variant=$2
home=/opt/wavenet
export PYTHONDONTWRITEBYTECODE=1
python3 -m venv --without-pip "$home"
# pip runs from its own wheel, and so never gets into the image.
pip=$(echo "$wheels"/pip-*.whl)
chosen=
for wheel in "$wheels"/*.whl; do
  [ "$wheel" = "$pip" ] || chosen="$chosen $wheel"
done
# shellcheck disable=SC2086  several words; names of wheels have no blanks
python3 "$pip/pip" --python "$home/bin/python" install --quiet --no-index --no-deps --no-compile --no-cache-dir \
  --disable-pip-version-check --root-user-action=ignore $chosen
packages=$(echo "$home"/lib/python3*/site-packages)
# What is compiled against, what tests itself, and what belongs to neither.
rm -rf "$packages"/torch/include "$packages"/torch/share "$packages"/torch/test "$packages"/torch/lib/*.a
find "$packages/torch/bin" -mindepth 1 ! -name torch_shm_manager -delete
find "$packages" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.a' \) -delete
"$home/bin/python" "$(dirname "$0")/describe.py" "$wheels" "$variant" > "$home/image.json"
mv "$(dirname "$0")/check.py" "$home/check.py"
# What this imports is compiled on the way: an image is read-only, and Python would do it anew at each start.
unset PYTHONDONTWRITEBYTECODE
"$home/bin/python" "$home/check.py"
"$home/bin/python" "$(dirname "$0")/compile.py" "$packages"
# Not /tmp, nor a home: Apptainer shows the builder's own in their place.
rm -rf /var/cache/* /var/log/* /usr/share/doc /usr/share/man
