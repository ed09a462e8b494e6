# shellcheck shell=sh disable=SC2016,SC2086,SC2154
# Sets audit_backlog_limit= on the kernel command line, for the records made before the rules are loaded at boot. No script
# of its own: a part of resize-audit-backlog.sh (its variables, its `run` and its way to replace a file), which calls it
# last, under its lock, where BootLimit is yes and the limit is proven. The SSM document puts it before that script.

# Reads `grubby --info=ALL` or grub.cfg, prints ENTRIES LEAST MOST: how many command lines there are, and the least and the
# largest limit on them (-1: none; the kernel takes the last one on a line). One that is no plain number above 0 is "odd".
BOOT_READER='
/^[ \t]*(args=|(linux|linux16|linuxefi|kernel)[ \t].*[ \t]root=)/ {
	limit = -1
	n = split($0, word, /[ \t"]+/)
	for (i = 1; i <= n; i++)
		if (sub(/^audit_backlog_limit=/, "", word[i]))
			limit = word[i] ~ /^[1-9][0-9]*$/ && length(word[i]) < 10 ? word[i] + 0 : "odd"
	if (limit == "odd") odd = 1
	if (!entries++ || limit < least) least = limit
	if (entries == 1 || limit > most) most = limit
}
END { print entries + 0, odd ? "odd odd" : (least + 0) " " (most + 0) }'

# By the file, not by PATH: only a boot loader that belongs to these files is asked.
find_boot_tool() { # sets boot_tool, boot_config; fails where there is none
	for boot_tool in grubby update-grub grub2-mkconfig; do
		for each in sbin usr/sbin usr/bin; do
			[ -e "$each/$boot_tool" ] || continue
			case $boot_tool in
				update-grub) boot_config=boot/grub/grub.cfg ;;
				grub2-mkconfig) boot_config=boot/grub2/grub.cfg ;;
			esac
			return 0
		done
	done
	return 1
}
read_boot() { # sets boot_entries, boot_least, boot_most
	found=$(if [ "$boot_tool" = grubby ]; then run grubby --info=ALL; else run cat "$boot_config"; fi | awk "$BOOT_READER")
	set -- $found
	boot_entries=$1 boot_least=$2 boot_most=$3
}
# A line of ours at the end: GRUB reads the file as shell, and Debian's reads *.cfg in grub.d after it.
write_boot() { # LIMIT; fails with REPLY saying why
	boot_file=etc/default/grub
	[ "$boot_tool" != update-grub ] || [ ! -d etc/default/grub.d ] || boot_file=etc/default/grub.d/zz-audit-backlog.cfg
	stage "$boot_file" || return 1
	boot_text "$1" >"$tmp" || return 1
	words "$(boot_text "$1" | wc -c)"
	put_in_place "$w1"
}
boot_text() { # LIMIT
	run awk 'BEGIN { ARGC = 2 } index($0, ARGV[2]) != 1 { print } END { print ARGV[2] ARGV[3] "\"" }' \
		"$source" 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX audit_backlog_limit=' "$1"
}
# With more patience: a tool that is ended while it writes leaves half a file.
make_boot_config() (
	PATIENCE=$((PATIENCE * 4))
	if [ "$boot_tool" = update-grub ]; then run update-grub; else run grub2-mkconfig -o "${PWD%/}/$boot_config"; fi
)
change_boot() { # LIMIT; fails with REPLY saying why
	if [ "$boot_tool" = grubby ]; then
		REPLY='grubby does not show it on every entry'
		# Entry by entry: what it wrote stays, and is right where it stands.
		run grubby --update-kernel=ALL --args="audit_backlog_limit=$1"
		read_boot
		[ "$boot_least" != odd ] && [ "$boot_least" -ge "$1" ]
		return
	fi
	boot_old=$boot_config.audit-backlog.bak boot_count=$boot_entries
	REPLY="/$boot_config cannot be kept beside itself (full, read-only?)"
	if ! run cp -p "$boot_config" "$boot_old" || ! write_boot "$1"; then
		run rm -f "$boot_old"
		return 1
	fi
	REPLY="$boot_tool does not bring it into every entry of /$boot_config"
	if make_boot_config && read_boot && [ "$boot_entries" -ge "$boot_count" ] && [ "$boot_least" != odd ] && [ "$boot_least" -ge "$1" ]; then
		run rm -f "$boot_old"
		return 0
	fi
	restore
	[ ! -e "${backup:-$real}" ] || REPLY="$REPLY, and /$real could not be put back"
	# Not made anew: what the tool could not do well once, it might not do well twice. Through a link, if it is one.
	if run cp -p "$boot_old" "$boot_config"; then
		run sync "$boot_config"
		run rm -f "$boot_old"
	else
		REPLY="$REPLY, and /$boot_config could not be put back: copy /$boot_old over it before the next boot"
	fi
	return 1
}

set_boot_limit() { # OUTCOME: adds one sentence to the answer
	case $1,$target in unsafe-kernel,* | insufficient-memory,* | *,null) return ;; esac
	find_boot_tool || {
		add 'The kernel command line was not changed: neither grubby nor update-grub is here.'
		return
	}
	read_boot
	case $boot_entries,$boot_least in
		0,*) add "The kernel command line was not changed: $boot_tool shows no entry." && return ;;
		*,odd) add 'The kernel command line was not changed: it has an audit_backlog_limit that is no plain number.' && return ;;
	esac
	# One command sets all entries: none may be lowered.
	boot_limit=$target
	[ "$boot_most" -le "$target" ] || boot_limit=$boot_most
	if [ "$boot_least" -ge "$target" ]; then
		add "The kernel command line has audit_backlog_limit=$boot_least."
	elif [ "$mode" = plan ]; then
		add "Would set audit_backlog_limit=$boot_limit on the kernel command line."
	elif change_boot "$boot_limit"; then
		add "Set audit_backlog_limit=$boot_limit on the kernel command line for the next boot."
	else
		add "audit_backlog_limit=$boot_limit could not be set on the kernel command line: $REPLY."
	fi
}
