#!/usr/bin/env bash
# What podman needs on a Debian machine with neither Docker nor an image registry: the packages, and a base image.
#   base.sh IMAGE LABEL FOLDER    as root; FOLDER takes what is made on the way
set -euo pipefail
image=$1 label=$2 folder=$3

missing=()
for each in podman buildah runc netavark aardvark-dns iptables uidmap debootstrap docker-compose; do
  dpkg-query --show --showformat '${Status}' "$each" 2>/dev/null | grep -q 'ok installed' || missing+=("$each")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

podman image exists "$image" && [ "$(podman image inspect --format '{{index .Labels "recipe"}}' "$image")" = "$label" ] && exit

# Debian with its own Python, in the place of Python's image. busybox: `nc`, as the images of others have it.
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
  awk -v suite="$VERSION_CODENAME" '$2 == suite {print $1; exit}')
[ -n "$mirror" ] || { echo "apt knows no mirror of $VERSION_CODENAME" >&2; exit 1; }
root=$folder/root
debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates,busybox "$VERSION_CODENAME" "$root" "$mirror"
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
ln -s /bin/busybox "$root/usr/local/bin/nc"
rm "$root"/usr/lib/python3*/EXTERNALLY-MANAGED   # Python's own images let pip install as root
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | podman import --change "LABEL recipe=$label" --change 'CMD ["python3"]' \
  --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' - "$image"
rm -rf "$root"
