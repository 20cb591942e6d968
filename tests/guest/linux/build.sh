#!/bin/bash
# usage: build.sh OUTDIR
# Makes OUTDIR/vmlinuz, Debian's cloud kernel, and OUTDIR/initrd.gz, an initramfs of busybox and our init.
# The kernel package comes from BULKHEAD_GUEST_CACHE (default OUTDIR/cache) or else from apt; it is never installed.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
meta_package=linux-image-cloud-amd64
modules=(button evdev virtio_pci virtio_mmio virtio_console virtio_blk virtio_net)

fail() { # fail CAUSE HINT
    printf "build linux guest: %s\n  try: %s\n" "$1" "$2" >&2
    exit 1
}

need() { # need TOOL PACKAGE
    command -v "$1" >/dev/null || fail "no '$1' in PATH" "apt-get install $2"
}

newest_cached_package() {
    find "$cache" -maxdepth 1 -name 'linux-image-*-cloud-amd64_*.deb' | LC_ALL=C sort -V | tail -n 1
}

download_package() {
    local name download
    need apt-get apt
    name=$(apt-cache depends "$meta_package" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[^ ]*-cloud-amd64\)$/\1/p') || true
    name=${name%%$'\n'*}
    [[ -n $name ]] || fail "apt does not know the package '$meta_package'" \
        "apt-get update (on another system: put a linux-image-*-cloud-amd64_*.deb of Debian into '$cache')"

    download=$work/download
    mkdir "$download"
    # apt, as root, would drop to a user who cannot write here.
    (cd -- "$download" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$name") >&2 ||
        fail "download '$name': apt failed, see above; usually the package list is out of date" "apt-get update"
    find "$download" -maxdepth 1 -name '*.deb' -exec mv -f -- {} "$cache/" \;
}

unpack_package() { # unpack_package DEB
    dpkg-deb --extract "$1" "$work/kernel" ||
        fail "unpack '$1': dpkg-deb failed, see above" "rm '$1', then build again: it is downloaded anew"
    local trees=("$work"/kernel/lib/modules/*) images=("$work"/kernel/boot/vmlinuz-*)
    module_tree=${trees[0]}
    kernel_image=${images[0]}
    [[ -d $module_tree && -f $kernel_image ]] ||
        fail "unpack '$1': no kernel or no modules in it" "rm '$1', then build again: it is downloaded anew"
}

plain_module() { # plain_module FILE OUT
    case $1 in
        *.ko) cp -- "$1" "$2" ;;
        *.ko.xz) need xz xz-utils && xz -dc -- "$1" >"$2" ;;
        *.ko.zst) need zstd zstd && zstd -qdc -- "$1" >"$2" ;;
        *) fail "unknown compression of module '$1'" "an older kernel package in '$cache'" ;;
    esac
}

# Adds a module behind everything it needs, as insmod in the guest resolves nothing.
declare -A added=()
add_module() { # add_module NAME
    local name=${1//-/_} file needed depends
    [[ -z ${added[$name]:-} ]] || return 0
    added[$name]=yes
    # File names have '-' where the names in dependency lists have '_', or not.
    file=$(find "$module_tree/kernel" -name "${name//_/[-_]}.ko*" -print -quit)
    if [[ -z $file ]]; then
        grep -q "/${name//_/[-_]}\.ko" "$module_tree/modules.builtin" && return 0
        fail "the kernel package has no module '$name'" "another linux-image-*-cloud-amd64_*.deb in '$cache'"
    fi
    plain_module "$file" "$root/lib/modules/$name.ko"
    needed=$(readelf -p .modinfo "$root/lib/modules/$name.ko" | sed -n 's/^.*\] *depends=//p')
    IFS=, read -ra depends <<<"$needed" || true
    for needed in "${depends[@]}"; do
        add_module "$needed"
    done
    echo "$name.ko" >>"$root/lib/modules/order"
}

add_busybox() {
    local busybox applet
    busybox=$(command -v busybox)
    if [[ $(readelf -l "$busybox") == *INTERP* ]]; then
        fail "'$busybox' is dynamically linked" "apt-get install busybox-static"
    fi
    cp -- "$busybox" "$root/bin/busybox"
    for applet in $("$busybox" --list); do
        [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
    done
    for applet in acpid cttyhack insmod poweroff setsid stty usleep; do
        [[ -e $root/bin/$applet ]] || fail "'$busybox' has no applet '$applet'" "apt-get install busybox-static"
    done
}

pack_root() { # pack_root OUT
    find "$root" -exec touch -h -d @0 {} +
    (cd -- "$root" && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --owner=0:0 --reproducible) | gzip -9n >"$1"
}

out=${1:?usage: build.sh OUTDIR}
cache=${BULKHEAD_GUEST_CACHE:-$out/cache}
need busybox busybox-static
need cpio cpio
need dpkg-deb dpkg
need gzip gzip
need readelf binutils

mkdir -p -- "$out" "$cache"
out=$(cd -- "$out" && pwd)
cache=$(cd -- "$cache" && pwd)
# Inside the cache, so that a package moves into place in one step.
work=$(mktemp -d -- "$cache/.linux.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

package=$(newest_cached_package)
if [[ -z $package ]]; then
    download_package
    package=$(newest_cached_package)
fi
unpack_package "$package"

root=$work/root
mkdir -p "$root"/{bin,dev,etc/acpi/PWRF,lib/modules,mnt,proc,sys,tmp}
add_busybox
for module in "${modules[@]}"; do
    add_module "$module"
done
install -m 0755 "$here/init" "$root/init"
# The path is the name that acpid gives to the event.
install -m 0755 "$here/power-button" "$root/etc/acpi/PWRF/00000080"

# Staged beside the target: the cache may be on another file system.
staged=$(mktemp -d -- "$out/.linux.XXXXXX")
trap 'rm -rf -- "$work" "$staged"' EXIT
pack_root "$staged/initrd.gz"
install -m 0644 "$kernel_image" "$staged/vmlinuz"
mv -f -- "$staged/vmlinuz" "$staged/initrd.gz" "$out/"
