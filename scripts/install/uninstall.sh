# Part of install.sh: taking it back. The program does most of that; where it is gone already, this does it without.

wants_purge() {
  [ "$purge" = no ] || return 0
  if [ ! -t 0 ] || [ "$dry_run" = yes ]; then return 1; fi
  printf '    Delete configuration and state, too (%s, %s)? [y/N] ' "$config_folder" "$state_folder"
  IFS= read -r answer
  case $answer in y | Y | yes) return 0 ;; *) return 1 ;; esac
}

# As `nightjar stop` does it. The number may be another program's by now.
stop_without_program() {
  [ -f "$state_folder/daemon.pid" ] || return 0
  pid=$(cat "$state_folder/daemon.pid")
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    case $(ps -p "$pid" -o args= 2>/dev/null || true) in *"$script"*) ;; *) return 0 ;; esac
    run kill "$pid"
    if [ "$dry_run" = yes ]; then return; fi
    sleep 1
  done
  say "    the daemon (process $pid) does not end"
}

# As `nightjar uninstall` does it, for the browsers in their usual places.
forget_browsers_without_program() {
  wrapper=$state_folder/nightjar-host
  for browsers_home in "$config_home" "$HOME/Library/Application Support"; do
    for manifest in "$browsers_home"/*/NativeMessagingHosts "$browsers_home"/*/*/NativeMessagingHosts; do
      forget_manifest "$manifest/io.nightjar.host.json"
    done
  done
  forget_manifest "$HOME/.mozilla/native-messaging-hosts/io.nightjar.host.json"
  remove_if_empty "$HOME/.mozilla"
  if [ -f "$wrapper" ]; then remove "$wrapper"; fi
}

# And its folder, where nothing else is in it.
forget_manifest() {
  if [ ! -f "$1" ] || ! grep -qF "\"$wrapper\"" "$1"; then return; fi
  remove "$1"
  remove_if_empty "$(dirname -- "$1")"
}

remove_if_empty() {
  if [ -d "$1" ]; then run rmdir -- "$1" 2>/dev/null || true; fi
}

purge_without_program() {
  for file in "$config" "$state_folder/state.json" "$state_folder/newest-network.json" "$state_folder/daemon.pid" \
    "$state_folder/nightjar.sock"; do
    remove "$file"
  done
  if [ -n "${XDG_RUNTIME_DIR:-}" ]; then remove_if_empty "$XDG_RUNTIME_DIR/nightjar"; fi
  remove_if_empty "$config_folder"
}

uninstall() {
  kept=yes
  step 'Daemon'
  remove_service
  step 'Browsers and state'
  if wants_purge; then kept=no; fi
  if [ ! -x "$node" ]; then
    say '    the program is not there: done without it'
    stop_without_program
    forget_browsers_without_program
    if [ "$kept" = no ]; then purge_without_program; fi
  elif [ "$kept" = no ]; then
    run nightjar uninstall --purge
  else
    run nightjar stop
    run nightjar uninstall
  fi
  if [ "$kept" = yes ]; then tell "kept configuration and state: $config_folder, $state_folder"; fi
  step 'Program'
  if is_ours "$command"; then remove "$command"; fi
  remove "$program"
  remove_folders
  say ''
  if [ "$dry_run" = no ]; then say 'Nightjar is gone. Remove its extension from your browsers as well.'; fi
}
