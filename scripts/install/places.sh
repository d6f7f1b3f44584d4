# Part of install.sh: where everything is; those of Nightjar's own files as in native-host/src/config.ts.

newline='
'
# Without two dashes side by side, which no comment in a plist may have.
mark="Written by Nightjar's install.sh, which also removes it."
place_variables='NIGHTJAR_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME'

shell_word() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# The variables among $* that are set, as NAME=VALUE lines.
places() {
  for name in "$@"; do
    eval "value=\${$name:-}"
    [ -z "$value" ] || printf '%s=%s\n' "$name" "$value"
  done
}

command_text() {
  cat <<COMMAND
#!/bin/sh
# $mark
$(for name in $place_variables; do
    eval "value=\${$name:-}"
    [ -z "$value" ] || printf 'export %s=%s\n' "$name" "$(shell_word "$value")"
  done)
exec $(shell_word "$node") $(shell_word "$script") "\$@"
COMMAND
}

find_places() {
  [ -n "${HOME:-}" ] || die 'HOME is not set'
  command=$HOME/.local/bin/nightjar
  # What is installed says where its files are, whatever the variables say today.
  if is_ours "$command"; then
    for name in $place_variables; do unset "$name"; done
    eval "$(grep '^export [A-Z_]*=' "$command" || true)"
  fi
  case ${NIGHTJAR_HOME:-/} in
    /*) ;;
    *) NIGHTJAR_HOME=$PWD/$NIGHTJAR_HOME ;;
  esac
  config_home=${XDG_CONFIG_HOME:-$HOME/.config}
  config_folder=${NIGHTJAR_HOME:-$config_home/nightjar}
  state_folder=${NIGHTJAR_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/nightjar}
  config=$config_folder/config.yaml
  data=${XDG_DATA_HOME:-$HOME/.local/share}/nightjar
  program=$data/program
  folders=$state_folder/folders
  node=$program/bin/node
  script=$program/app/nightjar.js
  unit=$config_home/systemd/user/nightjar.service
  agent=$HOME/Library/LaunchAgents/io.nightjar.daemon.plist
  case "$HOME$data$config_folder$state_folder" in
    *"$newline"*) die 'a folder has a line break in its name; set HOME and the XDG folders to others' ;;
  esac
}
