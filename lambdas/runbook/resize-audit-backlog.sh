#!/bin/sh
# shellcheck disable=SC2016,SC2086,SC2154
# Raises the audit backlog limit, first in the running kernel, then in the rules file; proves both by reading back and
# takes all back where a proof fails. Parameters: SSM_* in the environment. Answer: one line of JSON on stdout.
# Tests and simulated machines set AUDIT_BACKLOG_ROOT (holds all paths) and AUDIT_BACKLOG_PATIENCE (seconds).
set -u
LC_ALL=C
PATH="${PATH:+$PATH:}/sbin:/usr/sbin:/usr/local/sbin:/bin:/usr/bin"
export LC_ALL PATH
umask 077
exec 3>&1 >/dev/null 2>&1

# Kernels that lock up with auditd; the list with its sources is domain/unsafe-kernels.ts.
UNSAFE_KERNELS='5.4.296-217.423.amzn2 5.10.240-238.955.amzn2 5.15.189-131.202.amzn2 6.1.147-172.259.amzn2023'
BUFFER_BYTES=8970
# Seconds for one call: a full queue lets even auditctl sleep up to 60 s (backlog_wait_time).
PATIENCE=${AUDIT_BACKLOG_PATIENCE:-75}

target=null total=null avail=null cost=null shown='' manager='' os_id='' os_version='' kernel='' init=''
auditd='' free_pc=null suspended=null log_low=unknown layout='' loader='' lock='' tmp='' backup=''
restarted=no raised=no written=no has_timeout=no cmdline='' tail='' prefix='' unit='' base=''
c_value=null

## The answer

forget() { s_limit=null s_lost=null s_backlog=null s_enabled=null s_failure=null s_wait=null s_pid=null; }
reading() {
	after="{\"effective\":$s_limit,\"configured\":$c_value,\"lost\":$s_lost,\"backlog\":$s_backlog,\"enabled\":$s_enabled"
	after="$after,\"failure\":$s_failure,\"backlogWaitTime\":$s_wait,\"auditdPid\":$s_pid}"
}
forget
reading
before=$after

# Prints "NAME":"TEXT" in pure ASCII, at most MOST bytes of text.
string() { # NAME TEXT MOST [END]
	rest=$2 safe=''
	while [ -n "$rest" ] && [ "${#safe}" -lt "$3" ]; do
		char=${rest%"${rest#?}"} rest=${rest#?}
		case $char in
			[\"\\]) safe=$safe\\$char ;;
			[\ -~]) safe=$safe$char ;;
			*) safe="$safe?" ;;
		esac
	done
	[ -z "$2" ] || safe="\"$safe\""
	printf '"%s":%s%s' "$1" "${safe:-null}" "${4-,}"
}
finish() { # OUTCOME MESSAGE
	trap '' HUP INT TERM
	trap - EXIT
	[ -z "$tmp$lock" ] || run rm -f "$tmp" "$lock"
	{
		printf '{"schema":1,"outcome":"%s","target":%s,"before":%s,"after":%s,' "$1" "$target" "$before" "$after"
		printf '"memory":{"totalKiB":%s,"availableKiB":%s,"costBytes":%s},' "$total" "$avail" "$cost"
		string rulesFile "$shown" 200
		string managedBy "$manager" 40 ',"os":{'
		string id "$os_id" 40
		string version "$os_version" 40
		string kernel "$kernel" 80
		string init "$init" 20 '},"drain":{'
		string auditd "$auditd" 20
		printf '"logDirFreePercent":%s,"suspended":%s},' "$free_pc" "$suspended"
		string message "$2" 800 '}
'
	} >&3
	case $1 in failed | rolled-back) exit 1 ;; esac
	exit 0
}
refuse() { finish failed "$1 Nothing was changed."; }
add() { message="$message $1"; }
conclude() { # OUTCOME MESSAGE: adds what a person should know
	trap '' HUP INT TERM
	message=$2
	case $auditd in
		frozen) add "auditd is stopped by a signal and reads nothing: kill -CONT $s_pid." ;;
		stopped) add 'auditd is not running: nothing drains the queue.' ;;
	esac
	[ "$log_low" != yes ] || add "The log disk ($free_pc % free) is at or below space_left: make room."
	[ "$suspended" != true ] || add 'auditd suspends logging for lack of space.'
	[ "$s_failure" != 2 ] || add 'Failure mode is 2: the next overflow panics the machine.'
	[ -z "$manager" ] || add "$shown is managed by $manager: change the limit there too."
	case $boot,$was_limit,$cmdline in
		yes,*) set_boot_limit "$1" ;;
		*audit_backlog_limit=*) ;;
		no,64,*) add "For overflows during boot set audit_backlog_limit=$target on the kernel command line." ;;
	esac
	watch_lost
	finish "$1" "$message"
}
watch_lost() { # does the queue drain now?
	case $s_lost in null | 0) return ;; esac
	lost=$s_lost
	run sleep 3
	read_state
	case $s_lost in
		null) ;;
		"$lost") add "lost stands still at $lost." ;;
		*) add "lost grew by $((s_lost - lost)) to $s_lost in 3 s: backlog $s_backlog, $(run auditctl -l | grep -cv '^No rules') rules loaded." ;;
	esac
}

## External calls

# A daemon that is started must not inherit our stdout.
run() {
	if [ "$has_timeout" = yes ]; then
		timeout -s KILL "$PATIENCE" "$@" </dev/null 3>&-
		return
	fi
	"$@" </dev/null 3>&- &
	child=$!
	(sleep "$PATIENCE" && kill -9 "$child") >/dev/null 3>&- &
	wait "$child"
	status=$?
	kill $!
	return "$status"
}
number() { # VARIABLE VALUE: a number that JSON and the shell can hold, else null
	case $2 in '' | *[!0-9]* | 0?* | ????????????????*) eval "$1=null" ;; *) eval "$1=$2" ;; esac
}
words() { # sets w1, w2, ...
	set -f
	set -- $1
	set +f
	w1=${1-} w2=${2-} w4=${4-} w20=${20-}
}

# The answer counts, not the exit code: "backlog_limit 320" on a line, or of old "AUDIT_STATUS: ... backlog_limit=320".
read_state() {
	forget
	key=''
	text=$(run auditctl -s 2>&1)
	code=$?
	set -f
	for value in $text; do
		case $value in *=*) key=${value%%=*} value=${value#*=} ;; esac
		case $key in
			failure | flag) number s_failure "$value" ;;
			backlog_limit) number s_limit "$value" ;;
			backlog_wait_time) number s_wait "$value" ;;
			enabled | pid | lost | backlog) number "s_$key" "$value" ;;
		esac
		key=$value
	done
	set +f
	[ "$s_limit" != null ]
}

## Which -b is configured

# Reads as augenrules does (in the order of ls -1v, files run together; loads the last -b line, the last -f line, the rest,
# -e) or as auditctl -R. The patterns with \\s are augenrules' own: the host's awk decides there too.
READER='
function bad(why) { print "bad " why; exit }
function name(p) { sub(/.*\//, "", p); return p }
function weigh(t,  c, o) { # numbers by value, then letters, then all else; a last 0 weighs nothing
	while (t != "") {
		c = substr(t, 1, 1)
		if (match(t, /^[0-9]+/)) {
			c = substr(t, 1, RLENGTH); t = substr(t, RLENGTH + 1); sub(/^0+/, "", c)
			o = o "\002" sprintf("%03d", length(c)) c
		} else { o = o (c ~ /[A-Za-z]/ ? "" : "\177") c; t = substr(t, 2) }
	}
	sub(/\002000$/, "", o)
	return o
}
function order(s,  t) { t = s; sub(/(\.[A-Za-z][A-Za-z0-9]*)*$/, "", t); return weigh(t) "\001" weigh(s) "\001" s } # as ls -v
function scan(t,  s, off) { # the last -b of a control line; hit: 1 good, -1 bad, 0 none
	hit = t ~ /^[ \t]*-b/ && t !~ /^ *-b *[0-9]/ ? -1 : 0
	if (hit || t !~ /^ *-[bcefirs]/) return
	for (s = " " t; match(s, / -b *[0-9]+/); s = substr(s, RSTART + RLENGTH)) {
		off = length(t) - length(s) + RSTART + RLENGTH
		value = substr(s, RSTART, RLENGTH); sub(/.*[^0-9]/, "", value)
		at = off - length(value)
		size = length(value)
		# Numbers to auditctl too (hex, octal, over 32 bits): outdone by a line of ours.
		odd = substr(t, at) ~ /^0[0-9xX]/ || value + 0 > 4294967295 || off - 1 > flen
		hit = 1
	}
}
function keep(k) { H[k] = hit; V[k] = value; F[k] = from; L[k] = fline; C[k] = at; N[k] = size; X[k] = hit && odd }
function take(t) {
	if (t ~ /^[ \t]*#/) {
		t = tolower(t)
		if (!(from in M) && t ~ /manag|generat|deploy|control|edit/ && match(t, /ansible|puppet|chef|salt|cfengine|rudder|cloud-init|terraform/))
			M[from] = substr(t, RSTART, RLENGTH)
		return
	}
	scan(t)
	if (!(from in D) && !open && t ~ /^ *-D *\r?$/) D[from] = fline
	if (direct) { if (hit && !shut) keep("B"); if (t ~ /^ *-e *2/) shut = 1 }
	else if (match(t, "^\\s*-e")) keep("E")
	else if (match(t, "^\\s*-f")) keep("F")
	else if (match(t, "^\\s*-b")) keep("B")
	else if (hit == 1) keep("R")
}
function tell(how, f, l, extra, v, c, n) { print v, how, l + 0, c + 0, n + 0, U[f] + 0, extra + 0, (f in M) ? M[f] : "-", P[f] }
BEGIN {
	direct = ARGV[1] == ""
	n = ARGC - 2
	if (n > 0 && split(ENVIRON["SIZES"], S, "\n") != (n > 1 ? n + 1 : 1)) bad("a rules file cannot be read")
	for (i = 1; i <= n; i++) {
		P[i] = ARGV[i + 1]; O[i] = order(name(P[i]))
		for (j = i; j > 1 && O[i] < O[K[j - 1]]; j--) K[j] = K[j - 1]
		K[j] = i
	}
	for (j = 1; j <= n; j++) {
		f = K[j]; bytes = fl = got = 0; G[f] = open
		if (name(P[f]) == "audit.rules") home = f
		if (!home && O[f] < order("audit.rules")) before = f
		while ((r = (getline s < P[f])) > 0) {
			fl++; bytes += length(s) + 1
			if (got) take(text)
			if (open) text = text s; else { text = s; from = f; fline = fl; flen = length(s) }
			got = 1; open = 0
		}
		U[f] = S[f] + 0 == bytes - 1; T[f] = fl
		if (r < 0 || (S[f] + 0 != bytes && !U[f])) bad("it cannot be read as text: " P[f])
		if (got) { if (U[f] && !direct) open = 1; else take(text) } else open = U[f] = G[f]
	}
	if (open) { open = 0; take(text) }
	w = H["E"] == 1 ? "E" : H["R"] == 1 ? "R" : H["F"] == 1 ? "F" : "B"
	if (H["B"] == -1) w = "B"
	f = F[w]; l = L[w]
	if (H[w] == -1 && direct) tell("before", f, l, 0, "null")
	else if (H[w] == -1 || X[w]) tell("after", f, l, U[f] && l == T[f], "null")
	else if (H[w] == 1) tell("edit", f, l, 0, V[w], C[w], N[w])
	else if (home in D && !(U[home] && D[home] == T[home])) tell("after", home, D[home], 0, "null")
	else if (home ? G[home] : U[before]) { for (j = n; !T[K[j]]; j--); f = K[j]; tell("after", f, T[f], U[f], "null") }
	else tell("before", home, 1, 0, "null")
}'

read_rules() { # sets c_*; fails with REPLY saying why
	c_file=etc/audit$layout/audit.rules
	set -- "$c_file"
	[ -z "$layout" ] || set -- "etc/audit$layout"/*.rules
	for each; do
		shift
		case ${each##*/} in *["$IFS"]*) continue ;; esac
		[ ! -f "$each" ] || set -- "$@" "$each"
	done
	sizes=''
	[ $# -eq 0 ] || sizes=$(run wc -c "$@")
	found=$(SIZES=$sizes run awk "$READER" "$layout" "$@")
	c_value=null
	case $found in
		'bad '*) REPLY=${found#bad } && return 1 ;;
		*' '*) ;;
		*) REPLY='awk did not answer' && return 1 ;;
	esac
	set -f
	set -- $found
	set +f
	c_value=$1 c_how=$2 c_line=$3 c_col=$4 c_len=$5 c_open=$6 c_extra=$7 manager=$8 path=${9-}
	[ "$manager" != - ] || manager=''
	c_file=${path:-$c_file}
	shown=/$c_file
}

# augenrules makes audit.rules from rules.d, unless the unit (without systemd: sysconfig) loads it itself.
find_layout() {
	set -- etc/sysconfig/auditd etc/default/auditd
	[ "$init" != systemd ] || set -- lib/systemd/system/au*.service usr/lib/systemd/system/au*.service \
		etc/systemd/system/au*.service etc/systemd/system/au*.service.d/*.conf
	for each in "$@"; do
		while read -r value; do
			case $value in
				Exec*augenrules* | USE_AUGENRULES=*[Yy]*) loader=augenrules ;;
				Exec*auditctl*it.rules* | USE_AUGENRULES=*[Nn][Oo]*) loader=auditctl ;;
			esac
		done <"$each"
	done
	for each in etc/audit/rules.d/*.rules; do
		[ ! -f "$each" ] || : "${loader:=augenrules}"
	done
	[ "$loader" = augenrules ] && [ -d etc/audit/rules.d ] && command -v augenrules && layout=/rules.d
}

## Writing the file

EDITOR='BEGIN {
	how = ARGV[2]; at = ARGV[3]; open = ARGV[6]; new = "-b " ARGV[7]
	while ((getline s < ARGV[1]) > 0) a[++n] = s
	if (how == "edit") a[at] = substr(a[at], 1, ARGV[4] - 1) ARGV[7] substr(a[at], ARGV[4] + ARGV[5])
	else if (how == "after") { a[at] = a[at] "\n" new; if (at == n) open = 0 }
	else a[at] = new (n ? "\n" a[at] : "")
	if (!n) { n = 1; open = 0 }
	for (i = 1; i <= n; i++) printf "%s%s", a[i], (i < n || !open ? "\n" : "")
}'

# Copies it to keep and to change.
stage() { # FILE; sets real, folder, source, backup, tmp; fails with REPLY saying why
	real=$1 source=/dev/null backup=''
	if [ -h "$1" ]; then
		real=$(run readlink -f "$1")
		REPLY="the link /$1 leads nowhere"
		case $real in "${PWD%/}"/*) ;; *) return 1 ;; esac
	fi
	folder=${real%/*}
	tmp=$folder/.${real##*/}.audit-backlog.tmp
	REPLY="cannot write in $folder (full, read-only, no plain file?)"
	run rm -f "$tmp" || return 1
	[ -f "$real" ] || { [ ! -e "$real" ]; return; }
	source=$real backup=$real.audit-backlog.bak
	run cp -p "$real" "$backup" && run cp -p "$real" "$tmp" || return 1
	if [ -d sys/fs/selinux ] || [ -d selinux ]; then run chcon --reference="$real" "$tmp" "$backup"; fi
	return 0
}
# A kill leaves the old file or, from the rename on, the new one.
put_in_place() { # SIZE that it must have: a full disk may cut a file
	words "$(run wc -c "$tmp")"
	[ "$w1" = "$1" ] || return 1
	run sync "$tmp" "$backup"
	written=yes REPLY="cannot replace $real (chattr +i?)"
	run mv -f "$tmp" "$real" || [ ! -e "$tmp" ] || { written=no && return 1; }
	run sync "$folder"
	tmp=''
}
restore() {
	if [ -n "$backup" ]; then run mv -f "$backup" "$real"; else run rm -f "$real"; fi
	run sync "$folder"
}

write_rules() { # fails with REPLY saying why
	stage "$c_file" || return 1
	run awk "$EDITOR" "$source" "$c_how" "$c_line" "$c_col" "$c_len" "$c_open" "$target" >"$tmp" || return 1
	words "$(run wc -c "$source")"
	size=$((w1 + ${#target} + 4 + c_extra))
	[ "$c_how" != edit ] || size=$((w1 + ${#target} - c_len))
	put_in_place "$size" || return 1
	read_rules && [ "$c_value" = "$target" ] && return
	REPLY="the limit does not read back from $shown (it reads $c_value)"
	return 1
}

## Restarting auditd

ask_auditd() { # ACTION
	if [ "$init" = systemd ]; then run systemctl "$1" auditd; else run service auditd "$1"; fi
}
# Service managers answer 0 even where auditd did not start.
await_auditd() {
	for tries in 1 2 3 4 5 6; do
		read_state && [ "$s_pid" != 0 ] && return
		run sleep 1
	done
	return 1
}
restart_auditd() {
	restarted=yes
	case $unit in
		*Stop=yes*)
			# Red Hat's way, else by signal.
			run service auditd restart
			for tries in 1 2 3 4 5 6 7 8; do
				read_state
				[ "$s_pid" = "$was_pid" ] || break
				key=''
				read -r key <"proc/$s_pid/comm"
				[ "$tries,$key" != 2,auditd ] || run kill -TERM "$s_pid"
				run sleep 5
			done
			;;
		*) ask_auditd restart ;;
	esac
	await_auditd || { ask_auditd start && await_auditd; }
}
# Why not to start auditd now (REPLY): its space actions may halt the machine.
forbidden() {
	case $s_failure,$log_low in
		2,* | null,*) REPLY="the failure mode is $s_failure" ;;
		*,yes) REPLY='its log disk is at or below space_left' ;;
		*,unknown) REPLY='the space on its log disk is not known' ;;
		*) return 1 ;;
	esac
}

take_back() { # WHY: restores, proves that, ends
	trap '' HUP INT TERM
	trouble=''
	if [ "$written" = yes ]; then
		restore
	elif [ -n "$backup" ]; then
		run rm -f "$backup"
	fi
	[ "$raised" = no ] || run auditctl -b "$was_limit"
	[ "$raised$written$restarted" != nonono ] || refuse "$1"
	read_state
	if [ "$restarted" = yes ] && [ "$was_pid" != 0 ] && [ "$s_pid" = 0 ]; then
		ask_auditd start
		await_auditd || trouble=' auditd does not start: look at its log.'
	fi
	read_rules
	[ "$s_limit,$c_value" = "$was_limit,$was_value" ] ||
		trouble="$trouble The limit is $s_limit, in the file $c_value, instead of $was_limit and $was_value."
	reading
	[ -z "$trouble" ] || finish failed "$1 Taking it back did not succeed:$trouble"
	finish rolled-back "$1 All was put back."
}

## Parameters

check() { # VARIABLE NAME DEFAULT LEAST MOST
	eval "number value \"\${SSM_$2-$3}\"; $1=\$value"
	[ "$value" -ge "$4" ] && [ "$value" -le "$5" ] && return
	refuse "Parameter $2 is not a whole number from $4 to $5."
}
was_limit=null was_pid=0 was_value=null
trap 'finish failed "The runbook ended unexpectedly. Run it again."' EXIT
trap 'take_back "Interrupted by a signal."' HUP INT TERM
cd -P "${AUDIT_BACKLOG_ROOT:-}/" || refuse 'AUDIT_BACKLOG_ROOT is no folder.'
mode=${SSM_Mode-plan} restart=${SSM_RestartAuditd-needed} boot=${SSM_BootLimit-no}
case $mode in plan | apply) ;; *) refuse 'Parameter Mode is not plan or apply.' ;; esac
case $restart in needed | always | never) ;; *) refuse 'Parameter RestartAuditd is not needed, always, never.' ;; esac
case $boot in
	no) ;;
	yes) command -v set_boot_limit || refuse 'BootLimit needs the whole SSM document.' ;;
	*) refuse 'Parameter BootLimit is not yes or no.' ;;
esac
check over OverflowedAt 0 0 9999999
check factor Factor 2 1 16
check minimum Minimum 8192 64 1000000
check maximum Maximum 65536 64 1000000
check percent MemoryPercent 10 1 50
check expected Expected 0 0 9999999
timeout -s KILL 5 true && has_timeout=yes

## The machine

kernel=$(run uname -r)
while IFS='=' read -r key value || [ -n "$key" ]; do
	value=${value#[\"\']} value=${value%[\"\']}
	case $key in ID) os_id=$value ;; VERSION_ID) os_version=$value ;; esac
done <etc/os-release
init=sysvinit
[ ! -d run/systemd/system ] || init=systemd

free=0
while read -r key value _; do
	case $key in
		MemTotal:) total=$value ;;
		MemAvailable:) avail=$value ;;
		# Kernels before 3.14 tell no MemAvailable.
		MemFree: | Buffers: | Cached:) free=$((free + value)) ;;
	esac
done <proc/meminfo
number total "$total"
[ "$avail" != null ] || avail=$free
number avail "$avail"

## The lock: a link to pid and start time (a pid may be used again)

identity() { # PID: sets REPLY to pid.start
	facts=''
	read -r facts <"/proc/$1/stat"
	words "${facts##*) }"
	REPLY=$1.$w20
}
volatile=run
[ -d run ] || volatile=var/run
take_lock() {
	path=$volatile/audit-backlog.lock
	identity $$
	me=$REPLY
	for tries in 1 2; do
		run ln -s "$me" "$path" && lock=$path && return
		holder=$(run readlink "$path")
		identity "${holder%%.*}"
		[ -z "$holder" ] || [ "$REPLY" != "$holder" ] || refuse "Another run of this runbook (pid ${holder%%.*}) is at work."
		# Of two that find a dead holder one removes its lock; the other puts back what it took.
		run mv "$path" "$path.$$"
		if [ "$(run readlink "$path.$$")" = "$holder" ]; then run rm "$path.$$"; else run mv "$path.$$" "$path"; fi
	done
	refuse "The lock $path cannot be taken."
}
[ "$mode" = plan ] || take_lock

## What audit is doing

command -v auditctl || finish no-auditd 'auditctl is not installed.'
read -r cmdline <proc/cmdline
if ! read_state; then
	case " $cmdline $text " in
		*' audit=0 '* | *' audit=off '* | *'not in kernel'*)
			finish no-auditd 'The kernel does not audit (audit=0).' ;;
	esac
	case $code in 124 | 137) refuse "auditctl -s did not answer within $PATIENCE seconds." ;; esac
	refuse 'auditctl -s names no backlog_limit (in a container?).'
fi

if [ -r etc/audit/auditd.conf ]; then
	log_dir=/var/log/audit space_left=75 admin_left=50 actions=''
	while IFS="=$IFS" read -r key value _ || [ -n "$key" ]; do
		case $key=$value in
			log_file=*) log_dir=${value%/*} ;;
			space_left=*) space_left=$value ;;
			admin_space_left=*) admin_left=$value ;;
			*_action=[Ss][Uu][Ss][Pp][Ee][Nn][Dd]) actions="$actions $key " ;;
		esac
	done <etc/audit/auditd.conf
	facts=$(run df -Pk ".$log_dir")
	words "${facts#*Mounted on}"
	number size "$w2"
	number free "$w4"
	if [ "$size" -gt 0 ] && [ "$free" -ge 0 ]; then
		free_pc=$((free * 100 / size)) log_low=no suspended=false
		for each in "space_left $space_left" "admin_space_left $admin_left" 'disk_full 0'; do
			value=${each#* }
			number REPLY "${value%\%}"
			# A threshold that cannot be read counts as reached.
			case $REPLY,$value in null,*) value=$free ;; *%) value=$((size * REPLY / 100)) ;; *) value=$((REPLY * 1024)) ;; esac
			[ "$free" -le "$value" ] || continue
			log_low=yes
			case $actions in *" ${each% *}_action "*) suspended=true ;; esac
		done
	fi
fi

case $s_pid in
	null) ;;
	0) if [ -e etc/audit/auditd.conf ]; then auditd=stopped; else auditd=absent; fi ;;
	*)
		auditd=running facts=''
		read -r facts <"proc/$s_pid/stat"
		case ${facts##*) } in [Tt]*) auditd=frozen ;; esac
		;;
esac

find_layout
why=''
read_rules || why=$REPLY
reading
before=$after
was_limit=$s_limit was_pid=$s_pid was_value=$c_value
[ "$auditd" != absent ] || finish no-auditd 'The kernel audits, but auditd is not installed.'
[ -z "$why" ] || refuse "The rules: $why."
[ "$s_limit" != 0 ] || conclude already-sufficient 'The limit is 0: unlimited.'

## Sizing

case $total$avail in *null*) refuse 'Cannot read /proc/meminfo.' ;; esac
# Sized from the limit in force, a second run would raise it again: a note keeps the first one's.
note=$volatile/audit-backlog.sized
if [ "$over" = 0 ]; then
	over=$s_limit key='' value=''
	read -r key value <"$note"
	number key "$key"
	[ "$key" = null ] || [ "$value" != "$s_limit" ] || over=$key
	base=$over
fi
cap=$((total * 1024 * percent / 100 / BUFFER_BYTES)) half=$((avail * 512 / BUFFER_BYTES)) want=$((factor * over))
[ "$half" -ge "$cap" ] || cap=$half
[ "$want" -ge "$minimum" ] || want=$minimum
configured=$c_value undone=no
case $configured in null) configured=0 ;; 0) configured=4294967295 ;; esac
if [ "$configured" -lt "$expected" ]; then
	undone=yes prefix="The proven limit of $expected was undone in $shown (it reads $c_value). "
	[ "$want" -ge "$expected" ] || want=$expected
fi
[ "$want" -le "$maximum" ] || want=$maximum
target=$want
if [ "$cap" -lt "$want" ]; then
	target=$cap prefix="${prefix}Memory caps the limit at $cap instead of $want. "
fi
cost=$((target * BUFFER_BYTES)) file_low=no kernel_low=no unsafe=no
[ "$configured" -ge "$target" ] || file_low=yes
# Where memory gives no more, what is there will do for an overflow at less.
if [ "$s_limit" -lt "$want" ] && { [ "$cap" -gt "$s_limit" ] || [ "$over" -ge "$s_limit" ]; }; then kernel_low=yes; fi

if [ "$kernel_low" = yes ] && [ "$cap" -le "$s_limit" ]; then
	conclude insufficient-memory "Memory allows a limit of $cap, not above the $s_limit that is there; $want is wanted."
fi
[ "$kernel_low$file_low" != nono ] ||
	conclude already-sufficient "${prefix}The limit is $s_limit and $shown keeps it at boot: nothing to do."
case " $UNSAFE_KERNELS " in *" $kernel "* | *" ${kernel%.*} "*) unsafe=yes ;; esac
alone="Kernel $kernel is known to lock up with auditd: the file is left alone."
case $unsafe,$mode,$kernel_low,$s_enabled in
	yes,plan,* | yes,*,no,* | yes,*,2) conclude unsafe-kernel "$alone" ;;
esac
if [ "$mode" = plan ]; then
	[ "$s_enabled" != 2 ] || tail=' Immutable rules (-e 2): a reboot would bring it into force.'
	conclude planned "${prefix}Would set the limit to $target: kernel $s_limit, $shown $c_value.$tail"
fi

## Applying

in_force=yes
if [ "$kernel_low" = yes ] && [ "$s_enabled" != 2 ]; then
	raised=yes
	run auditctl -b "$target"
	if ! read_state || [ "$s_limit" -lt "$target" ]; then in_force=no; fi
	[ -z "$base" ] || [ "$in_force" = no ] || printf '%s\n' "$base $target" >"$note"
fi
# A restart that loads the file may still bring it.
if [ "$in_force" = no ] && { [ "$restart" = never ] || [ "$unsafe" = yes ] || forbidden; }; then
	take_back "The kernel did not take the limit of $target (it shows $s_limit)."
fi
if [ "$unsafe" = yes ]; then
	reading
	conclude unsafe-kernel "Raised the running limit from $was_limit to $target. $alone"
fi
[ "$file_low" = no ] || write_rules || take_back "The file was not changed: $REPLY."

wanted=no
case $s_pid,$restart,$s_enabled,$in_force in
	*,never,*) ;;
	*,no) wanted=restart ;;
	0,*) wanted=start ;;
	*,always,2,*) ;;
	*,always,*) wanted=restart ;;
esac
if [ "$wanted" != no ]; then
	[ "$init" != systemd ] || unit=$(run systemctl show -p RefuseManualStop -p UnitFileState auditd)
	case $wanted,$unit in
		*=masked* | start*=disabled*) wanted=no REPLY='its unit is disabled' ;;
		*) ! forbidden || wanted=no ;;
	esac
	[ "$wanted" != no ] || tail=" auditd was not restarted: $REPLY."
fi
case $wanted in
	start)
		tail=' auditd was started.'
		ask_auditd start
		await_auditd || tail=' auditd did not start: look at its log.'
		;;
	restart)
		restart_auditd || [ "$was_pid" = 0 ] || take_back 'auditd did not come back after its restart.'
		tail=' auditd was restarted.'
		[ "$s_pid" != "$was_pid" ] || tail=' auditd did not restart.'
		;;
esac

## Proving

read_state
[ "$s_limit" -lt "$was_limit" ] && run auditctl -b "$was_limit" && read_state
[ "$s_limit" != null ] || take_back 'The audit status cannot be read any more.'
case $s_pid,$auditd in 0,*) auditd=stopped ;; null,* | "$was_pid",frozen) ;; *) auditd=running ;; esac
reading
if [ "$s_enabled" = 2 ] && [ "$kernel_low" = yes ]; then
	conclude pending-reboot "${prefix}Immutable rules (-e 2): $shown holds $c_value, the kernel keeps $s_limit until a reboot.$tail"
fi
[ "$s_limit" = 0 ] || [ "$kernel_low" = no ] || [ "$s_limit" -ge "$target" ] ||
	take_back "The kernel did not keep the limit of $target (it shows $s_limit)."
outcome=resized
[ "$undone$file_low" != yesyes ] || outcome=reverted
conclude "$outcome" "${prefix}Limit in the kernel: $was_limit, now $s_limit; in $shown: $was_value, now $c_value.$tail"
