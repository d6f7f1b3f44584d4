#!/bin/sh
# Installs Nightjar for the user who runs it, from this checkout; no root is needed and nothing outside of the home
# folder is touched. Run again it brings what is there up to date. What it does:
#
#   1. lays out the program, with a Node of its own, in ~/.local/share/nightjar (scripts/package.mjs)
#   2. writes ~/.config/nightjar/config.yaml, mode 0600, unless there is one
#   3. makes the daemon a service of the user: systemd on Linux, launchd on macOS. Where there is neither, the browser
#      starts the daemon when it needs it.
#   4. tells the browsers that are there of it (`nightjar install`)
#   5. tries all of that, and says what to do next
#
# --uninstall takes all of it back. Folders that are made on the way are written down in ~/.local/state/nightjar/folders,
# so that no empty one is left behind, however late configuration and state are deleted. Windows has install.ps1.
#
# POSIX sh, so that any system can run it; its parts are in scripts/install.
set -eu
umask 077

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
for part in tools places settings service uninstall; do
  # shellcheck source=/dev/null
  . "$checkout/scripts/install/$part.sh"
done

usage() {
  cat <<'USAGE'
usage: scripts/install.sh --network DOCUMENT --key KEY [--key KEY ...] [--threshold N] [options]
       scripts/install.sh --uninstall [--purge] [--dry-run]

  --network DOCUMENT   where the network document is: a file, or https://...
  --key KEY            public key of a directory that you trust (base64); give it once for each
  --threshold N        how many of them must have signed; all of them, unless given
                       (these three are asked for, and not needed where there is a config.yaml already)
  --port N             port of the local RPC endpoint; 8645, unless given
  --no-browsers        do not tell any browser; `nightjar install` does that later
  --build              build the program anew even where dist/ is newer than its sources
  --dry-run            only say what would be done
  --uninstall          take everything back; asks before configuration and state are deleted
  --purge              with --uninstall: delete configuration and state without asking
USAGE
}

# ---- what is asked for -------------------------------------------------------------------------------------------

action=install dry_run=no purge=no build=no browsers=yes
network='' keys='' threshold='' port=8645
while [ $# -gt 0 ]; do
  case $1 in
    --network | --key | --threshold | --port)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      case $1 in
        --network) network=$2 ;;
        --key) keys="$keys $2" ;;
        --threshold) threshold=$2 ;;
        --port) port=$2 ;;
      esac
      shift
      ;;
    --no-browsers) browsers=no ;;
    --build) build=yes ;;
    --dry-run) dry_run=yes ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) wrong "there is no option $1" ;;
  esac
  shift
done
[ "$purge" = no ] || [ "$action" = uninstall ] || wrong '--purge goes with --uninstall'

find_places

# ---- installing --------------------------------------------------------------------------------------------------

nightjar() { "$node" "$script" "$@"; }

# A Node to lay out the program with; the program gets its own.
find_node() {
  for candidate in "$(command -v node || true)" "$checkout"/scripts/node/node_modules/node-*/bin/node; do
    if [ -x "$candidate" ]; then
      printf '%s' "$candidate"
      return
    fi
  done
  die 'Node is needed to install Nightjar: Node 20 or newer with npm, for example from https://nodejs.org'
}

install_program() {
  builder=$(find_node)
  make_folder "$data"
  if [ "$build" = yes ]; then set -- --build; fi
  run "$builder" "$checkout/scripts/package.mjs" "$@" "$program"
  tell "the program is in $program"
  make_folder "$(dirname -- "$command")"
  if [ -e "$command" ] && ! is_ours "$command"; then
    say "    left $command alone, which is another program; Nightjar is $node $script"
    return
  fi
  command_text | write "$command" 755
}

# Has the browsers told, which also starts the daemon if none runs, and then starts each manifest's program by itself.
install_browsers() {
  if [ "$browsers" = no ]; then
    say '    left out'
    return
  fi
  if [ "$dry_run" = yes ]; then
    say "    would run: $command install"
    return
  fi
  said=$(nightjar install 2>&1) || problem=yes
  indented "$said"
  manifests=$(printf '%s\n' "$said" | sed -n 's/^  wrote \(.*\.json\)$/\1/p')
  while IFS= read -r manifest; do
    if [ -z "$manifest" ]; then continue; fi
    host=$(sed -n 's/^  "path": "\(.*\)",$/\1/p' "$manifest" | sed 's/\\\(["\\]\)/\1/g')
    if "$host" </dev/null >/dev/null 2>&1; then
      say "    $manifest: its program starts"
    else
      say "    $manifest: its program $host does not start"
      problem=yes
    fi
  done <<MANIFESTS
$manifests
MANIFESTS
}
problem=no

verify() {
  if [ "$dry_run" = yes ]; then
    say "    would run: $command status"
    return
  fi
  if [ "$browsers" = no ] && [ "$(service_manager)" = none ]; then
    say '    no daemon runs yet'
    return
  fi
  said=$(nightjar status 2>&1) || problem=yes
  indented "$said"
}

# The keys and the threshold of the configuration, as far as it is one that we wrote or looks like it.
trusted() {
  sed -n "s/^ *- *['\"]\{0,1\}\([A-Za-z0-9+/]\{43\}=\)['\"]\{0,1\} *\$/key        \1/p; s/^ *threshold: *\([0-9][0-9]*\).*/signatures \1/p" "$config"
}

next_steps() {
  say ''
  case ":$PATH:" in
    *":$(dirname -- "$command"):"*) ;;
    *) say "$(dirname -- "$command") is not on your PATH: put it there, or type $command instead of nightjar." ;;
  esac
  say 'Next, load the extension:'
  say "  Chromium and its kin: chrome://extensions, Developer mode, Load unpacked: $program/extension"
  say "  Firefox: about:debugging, This Firefox, Load Temporary Add-on: $program/extension-firefox/manifest.json"
  say 'Then open its options: it checks the network by itself, with keys that it is given there. Under "Directory":'
  indented "$(trusted)"
  say 'Save them, then press Go private in its popup.'
}

install() {
  if [ ! -e "$config" ]; then find_settings; fi
  step 'Program'
  make_folder "$state_folder"
  install_program
  step 'Configuration'
  write_config
  step 'Daemon'
  install_service
  step 'Browsers'
  install_browsers
  step 'Trying it'
  verify
  [ "$problem" = no ] || die 'something of it does not work yet; put right what is said above and run this again'
  if [ "$dry_run" = no ]; then next_steps; fi
}

"$action"
