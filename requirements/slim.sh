#!/bin/sh
# Takes out of an image of the service what it never reads, after install.sh and in the same step of a Dockerfile.
set -eu
cd "$(python -c 'import site; print(site.getsitepackages()[0])')"
# Downloads weights faster (11 MB). The service downloads tokenizers alone; a worker's packages bring it along again.
rm -rf hf_xet hf_xet-*.dist-info
# Symbols that only a debugger reads: 15 MB. Not of the libraries in *.libs, which their wheels have rewritten.
apt-get update -qq
apt-get install -y -qq --no-install-recommends binutils >/dev/null
find . -name '*.so' -not -path './*.libs/*' -exec strip --strip-unneeded {} +
apt-get purge -y -qq --auto-remove binutils >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
