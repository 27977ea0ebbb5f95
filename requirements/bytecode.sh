#!/bin/sh
# Makes the bytecode of all packages of a worker, which imports many. Some bring files along that are no Python.
set -eu
packages="$(python -c 'import site; print(site.getsitepackages()[0])')"
python -m compileall -q -j 0 "$packages" >/dev/null || true
