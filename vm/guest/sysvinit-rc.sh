#!/bin/sh
# What the machine needs before auditd: the file systems and a name.
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
mount -o remount,rw /
hostname -F /etc/hostname
