# Part of install.sh: the daemon as a service of the user, with systemd on Linux and launchd on macOS. Where there is
# neither, the browser starts it.

has_systemd() { command -v systemctl >/dev/null 2>&1 && systemctl --user show-environment >/dev/null 2>&1; }

service_manager() {
  if [ "$(uname -s)" = Darwin ]; then
    echo launchd
  elif has_systemd; then
    echo systemd
  else
    echo none
  fi
}

# What the daemon has to know to find its files.
daemon_places() { places NIGHTJAR_HOME XDG_CONFIG_HOME XDG_STATE_HOME; }

# For a unit file: a word in quotation marks, in which % and $ and \ mean themselves.
unit_word() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g; s/\$/$$/g')"; }
# The same without variables, which lines of Environment do not know.
unit_setting() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g')"; }

unit_text() {
  cat <<UNIT
# $mark
[Unit]
Description=Nightjar: private network access for wallets

[Service]
# By way of env, as systemd itself starts nothing with a quotation mark in its path.
ExecStart=/usr/bin/env $(unit_word "$node") $(unit_word "$script") up$(daemon_places | while IFS= read -r line; do printf '\nEnvironment=%s' "$(unit_setting "$line")"; done)
Restart=on-failure
RestartSec=2
UMask=0077
# What works without root and without namespaces of its own. Not MemoryDenyWriteExecute: JavaScript is compiled.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
UNIT
}

xml() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

agent_text() {
  cat <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- $mark -->
<plist version="1.0">
<dict>
  <key>Label</key><string>io.nightjar.daemon</string>
  <key>ProgramArguments</key>
  <array><string>$(xml "$node")</string><string>$(xml "$script")</string><string>up</string></array>
  <key>EnvironmentVariables</key>
  <dict>$(daemon_places | while IFS= read -r line; do
    printf '\n    <key>%s</key><string>%s</string>' "${line%%=*}" "$(xml "${line#*=}")"
  done)
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ProcessType</key><string>Background</string>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
PLIST
}

stop_daemon() {
  said=$(run nightjar stop)
  indented "$said"
}

# Before any browser asks for it, or it would start another one.
wait_for_daemon() {
  if [ "$dry_run" = yes ]; then return; fi
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    if nightjar status >/dev/null 2>&1; then return; fi
    sleep 1
  done
  say '    it does not serve yet'
}

install_service() {
  case $(service_manager) in
    systemd)
      make_folder "$(dirname -- "$unit")"
      # One that a browser started holds the socket.
      stop_daemon
      unit_text | write "$unit" 644
      run systemctl --user daemon-reload
      run systemctl --user enable --quiet nightjar.service
      run systemctl --user restart nightjar.service
      wait_for_daemon
      tell 'the daemon is a service of systemd: systemctl --user status nightjar'
      ;;
    launchd)
      make_folder "$(dirname -- "$agent")"
      stop_daemon
      if [ -e "$agent" ]; then run launchctl bootout "gui/$(id -u)/io.nightjar.daemon" || true; fi
      agent_text | write "$agent" 644
      run launchctl bootstrap "gui/$(id -u)" "$agent"
      wait_for_daemon
      tell "the daemon is a service of launchd: launchctl print gui/$(id -u)/io.nightjar.daemon"
      ;;
    none)
      # The one that runs is of the version before.
      stop_daemon
      say '    there is no service manager for users here (systemd --user does not run): the browser starts the daemon'
      say '    when it needs it, or `nightjar up` does'
      ;;
  esac
}

remove_service() {
  if is_ours "$unit"; then
    if has_systemd; then run systemctl --user disable --now --quiet nightjar.service || true; fi
    remove "$unit"
    # systemd makes it for what is enabled, and leaves it.
    run rmdir -- "$(dirname -- "$unit")/default.target.wants" 2>/dev/null || true
    if has_systemd; then run systemctl --user daemon-reload || true; fi
  fi
  if is_ours "$agent"; then
    run launchctl bootout "gui/$(id -u)/io.nightjar.daemon" || say '    it was not running'
    remove "$agent"
  fi
}
