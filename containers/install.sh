#!/bin/sh
# Runs inside an image that is being built: makes the program's environment at /opt/wavenet from a folder of wheels and
# nothing else, and takes out what no run needs. First what the program needs, then the program: the first part is large
# and seldom changes, so that an image in layers has it in one of its own.
# usage: install.sh needs|program WHEELS VARIANT
set -eu
part=$1 wheels=$2 variant=$3
recipe=$(dirname "$0")
home=/opt/wavenet
export PYTHONDONTWRITEBYTECODE=1

install() {  # pip runs from its own wheel, and so never gets into the image
  python3 "$(echo "$wheels"/pip-*.whl)/pip" --python "$home/bin/python" install --quiet --no-index --no-deps \
    --no-compile --no-cache-dir --disable-pip-version-check --root-user-action=ignore "$@"
}

if [ "$part" = needs ]; then
  python3 -m venv --without-pip "$home"
  chosen=
  for wheel in "$wheels"/*.whl; do
    case ${wheel##*/} in pip-* | wavenet_exploration-*) ;; *) chosen="$chosen $wheel" ;; esac
  done
  # shellcheck disable=SC2086  several words; names of wheels have no blanks
  install $chosen
  packages=$(echo "$home"/lib/python3*/site-packages)
  # What is compiled against, what tests itself, and what belongs to neither.
  rm -rf "$packages"/torch/include "$packages"/torch/share "$packages"/torch/test "$packages"/torch/lib/*.a
  find "$packages/torch/bin" -mindepth 1 ! -name torch_shm_manager -delete
  find "$packages" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
  find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.a' \) -delete
  exit
fi

install "$wheels"/wavenet_exploration-*.whl
"$home/bin/python" "$recipe/describe.py" "$wheels" "$variant" > "$home/image.json"
cp "$recipe/check.py" "$home/check.py"
# What this imports is compiled on the way: an image is read-only, and Python would do it anew at each start.
unset PYTHONDONTWRITEBYTECODE
"$home/bin/python" "$home/check.py"
"$home/bin/python" "$recipe/compile.py" "$home"/lib/python3*/site-packages
# Not /tmp, nor a home: Apptainer shows the builder's own in their place.
rm -rf /var/cache/* /var/log/* /usr/share/doc /usr/share/man
