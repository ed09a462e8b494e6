#!/bin/busybox sh
# shellcheck shell=dash
# The initrd's init: loads virtio, mounts the disk, hands over to the system's own init.
export PATH=/bin
for name in mount umount insmod sleep switch_root; do /bin/busybox ln -s busybox "/bin/$name"; done
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for name in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console; do
	[ ! -f "/modules/$name.ko" ] || insmod "/modules/$name.ko"
done
tries=0
while [ ! -b /dev/vda ] && [ "$tries" -lt 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
mount -t ext4 -o rw /dev/vda /newroot || exec sh
mount --move /dev /newroot/dev
umount /proc /sys
exec switch_root /newroot /sbin/init
