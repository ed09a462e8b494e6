#!/bin/bash
# rootfs.sh systemd|sysvinit OUT: a Debian with auditd and the stand-in agent as OUT/rootfs-KIND.ext4. Needs OUT/modules.
# Root, no loop mount, nothing asked. Exit 75: packages could not be fetched.
set -euo pipefail
kind=$1 out=$2
guest=$(cd "$(dirname "$0")/../guest" && pwd)
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# The mirror that apt uses here.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | awk -v s="$suite" '$1 == s { print $2; exit }')
[ -n "$mirror" ] || exit 75
case $kind in
	# GRUB's own tools, for the kernel command line; QEMU loads the kernel without them.
	systemd) init=systemd-sysv,grub2-common ;;
	sysvinit) init=sysvinit-core,initscripts,orphan-sysvinit-scripts ;;
	*) exit 64 ;;
esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mmdebstrap --quiet --mode=root --variant=minbase --include="$init,auditd,kmod,procps" \
	--aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" "$root" "$mirror" || exit 75

mkdir -p "$root/lib/modules"
cp -a "$out/modules/." "$root/lib/modules/"
chroot "$root" depmod "$(ls "$out/modules")"
install -m 755 "$guest/agent.sh" "$root/usr/local/sbin/stand-in-agent"
install -m 755 "$guest/tree.pl" "$root/usr/local/sbin/audit-tree"
echo ip-10-0-1-23 >"$root/etc/hostname"
echo '127.0.0.1 localhost ip-10-0-1-23' >"$root/etc/hosts"
echo '/dev/root / ext4 defaults 0 0' >"$root/etc/fstab"

if [ "$kind" = systemd ]; then
	install -m 644 "$guest/stand-in-agent.service" "$root/etc/systemd/system/stand-in-agent.service"
	chroot "$root" systemctl enable -q stand-in-agent.service console-getty.service
	# What a machine without a network and without users does not need: emulated, each unit costs up to a second.
	for unit in getty-static.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer modprobe@configfs.service modprobe@dm_mod.service \
		modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
		systemd-pcrphase.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
		sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
else
	# Debian's rcS takes 80 s when emulated; auditd's init script and `service` stay Debian's.
	install -m 755 "$guest/sysvinit-rc.sh" "$root/etc/sysvinit-rc"
	install -m 644 "$guest/inittab" "$root/etc/inittab"
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
mke2fs -q -t ext4 -O '^has_journal,^metadata_csum' -d "$root" -L rootfs "$out/rootfs-$kind.ext4" 500M
