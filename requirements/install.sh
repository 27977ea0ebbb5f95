#!/bin/sh
# Installs packages into an image, without the tests that they bring along: 180 MB of a worker's, which nothing runs.
# They have no bytecode: bytecode.sh makes it.
# Arguments are those of `pip install`. In one step of a Dockerfile, for a later one would not make the layer smaller.
set -eu
pip install --no-cache-dir --no-compile "$@"
cd "$(python -c 'import site; print(site.getsitepackages()[0])')"
# Folders of tests, and torch's test programs. What lies below *.dist-info are licences.
find . -path './*.dist-info' -prune -o -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
if [ -d torch/bin ]; then find torch/bin \( -name 'test_*' -o -name '*Test' \) -delete; fi
# What a program in Rust is linked with: 30 MB that no Python reads.
rm -f c2pa/libs/*.rlib
