#!/bin/bash
# kernel.sh OUT: kernel, the few modules the guest needs, and a small initrd, all from Debian's packages.
# Exit 75: a package could not be fetched.
set -euo pipefail
out=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# virtio-blk, because QEMU can save the state of a machine with it (with NVMe, which the kernel has built in, it cannot).
modules='virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console virtio_blk'

package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
[ -n "$package" ] || exit 75
# As root apt would fetch as the user _apt, who must be able to write here.
(cd "$work" && apt-get -o APT::Sandbox::User=root download -q "$package" busybox-static >/dev/null) || exit 75
dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
dpkg-deb -x "$work"/busybox-static*.deb "$work/busybox"

cp "$work"/kernel/boot/vmlinuz-* "$out/vmlinuz"
release=$(ls "$work/kernel/lib/modules")
mkdir -p "$out/modules/$release"
for name in $modules; do
	found=$(cd "$work/kernel/lib/modules" && find . -name "$name.ko*")
	[ -z "$found" ] || install -D -m 644 "$work/kernel/lib/modules/$found" "$out/modules/$found"
done
find "$out/modules" -name '*.xz' -exec xz -d {} +
cp "$work/kernel/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$out/modules/$release/"

tree=$work/initrd
mkdir -p "$tree"/{bin,dev,proc,sys,newroot,modules}
cp "$(find "$work/busybox" -name busybox -type f -perm -u+x | head -n 1)" "$tree/bin/busybox"
find "$out/modules" -name '*.ko' -exec cp {} "$tree/modules/" \;
install -m 755 "$here/../guest/init.sh" "$tree/init"
(cd "$tree" && find . | cpio -o -H newc --quiet) >"$out/initrd.img"
