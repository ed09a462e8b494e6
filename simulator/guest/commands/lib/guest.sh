# What the guest's own commands share. The machine's kernel and service state stand as g_KEY='VALUE'
# lines in $AUDIT_BACKLOG_GUEST/state, the rules that are loaded in $AUDIT_BACKLOG_GUEST/loaded. Sourced, never run.
# shellcheck shell=sh disable=SC2034,SC2154
G=${AUDIT_BACKLOG_GUEST:?the guest commands only run inside a guest}
R=${AUDIT_BACKLOG_ROOT:?the guest commands only run inside a guest}

# shellcheck source=/dev/null
. "$G/state"

get() { eval "printf '%s\\n' \"\$g_$1\""; }

# Without a process of its own: a script asks and sets often.
put() {
  eval "g_$1=\$2"
  kept=
  while IFS= read -r each; do
    case $each in "g_$1="*) ;; *) kept="$kept$each
" ;; esac
  done <"$G/state"
  printf "%sg_%s='%s'\n" "$kept" "$1" "$2" >"$G/state"
}

# Adds to the time the machine spent, in milliseconds of its own clock.
spend() { put elapsed $((g_elapsed + $1)); }

# The kernel refuses every change while the configuration is locked (enabled 2).
locked() { [ "$g_enabled" = 2 ]; }

pid_entry() {
  mkdir -p "$R/proc/$1" "$R/run"
  echo auditd >"$R/proc/$1/comm"
  printf 'auditd\0' >"$R/proc/$1/cmdline"
  printf 'Name:\tauditd\nState:\tS (sleeping)\nPid:\t%s\n' "$1" >"$R/proc/$1/status"
  echo "$1 (auditd) S 1 $1 $1 0 -1 1077936384 0 0 0 0 1 1 0 0 16 -4 2 0 900 0 0" >"$R/proc/$1/stat"
  echo "$1" >"$R/run/auditd.pid"
}

daemon_stop() {
  old=$g_pid
  [ "$old" = 0 ] && return 0
  rm -rf "${R:?}/proc/$old" "$R/run/auditd.pid"
  put pid 0
  spend 400
}

# auditd reads its settings, checks the space left for its log and takes its space action, then listens.
daemon_start() {
  [ "$g_pid" = 0 ] || return 0
  spend 900
  if ! config_valid; then return 6; fi
  action=$(sed -n 's/^ *disk_full_action *= *\([A-Za-z]*\).*/\1/p' "$R/etc/audit/auditd.conf" | tr '[:lower:]' '[:upper:]')
  if [ "$g_log_free" -eq 0 ]; then
    case $action in
      HALT | SINGLE) put halted 1 ;;
      SUSPEND) put suspended 1 ;;
    esac
  fi
  new=$g_next_pid
  put next_pid $((new + 13))
  put pid "$new"
  locked || put enabled 1
  pid_entry "$new"
}

config_valid() {
  [ -f "$R/etc/audit/auditd.conf" ] || return 1
  ! sed -n 's/^ *\(num_logs\|max_log_file\|space_left\|admin_space_left\) *= *//p' "$R/etc/audit/auditd.conf" |
    grep -qv '^[0-9][0-9]*%\{0,1\} *$'
}

# Since 4.0 a unit of its own loads the rules, and a restart of the daemon does not.
daemon_loads_rules() { [ "$g_auditd_major" -lt 4 ]; }

load_rules() {
  if [ "$g_augenrules" = yes ]; then augenrules --load; else auditctl -R "$R/etc/audit/audit.rules"; fi
}
