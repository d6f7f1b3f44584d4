# Part of install.sh: words for the user, files, and folders with a memory of which were made.

say() { printf '%s\n' "$*"; }
die() {
  printf 'nightjar: %s\n' "$*" >&2
  exit 1
}
wrong() {
  printf 'nightjar: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}

indented() { printf '%s\n' "$1" | sed 's/^/    /'; }

step_count=0
step() {
  step_count=$((step_count + 1))
  say "[$step_count] $*"
}

# Says what was done, unless it was not.
tell() { if [ "$dry_run" = no ]; then say "    $*"; fi; }

# Runs a command, or says that it would.
run() {
  if [ "$dry_run" = yes ]; then say "    would run: $*"; else "$@"; fi
}

# Makes a folder and notes each one that was not there, the outermost first.
make_folder() {
  if [ -d "$1" ] || [ "$dry_run" = yes ]; then return; fi
  make_folder "$(dirname -- "$1")"
  mkdir "$1"
  made="${made}$1
"
  # Before there is a place for the notes they wait.
  if [ -d "$state_folder" ]; then
    printf '%s' "$made" >>"$folders"
    made=''
  fi
}
made=''

# Writes stdin to a file of mode $2, at once or not at all.
write() {
  if [ "$dry_run" = yes ]; then
    say "    would write $1"
    cat >/dev/null
    return
  fi
  cat >"$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
  say "    wrote $1"
}

is_ours() { [ -f "$1" ] && grep -qF "$mark" "$1"; }

remove() {
  if [ ! -e "$1" ]; then return; fi
  run rm -rf -- "$1"
  tell "removed $1"
}

# The innermost first, and only where nothing is in them. The notes stay as long as configuration and state do.
remove_folders() {
  if [ ! -f "$folders" ]; then return; fi
  if [ "$dry_run" = yes ]; then
    say '    would remove these folders where they are empty:'
    sed 's/^/      /' "$folders"
    return
  fi
  list=$(sed '1!G;h;$!d' "$folders")
  if [ "$kept" = no ]; then
    rm -f "$folders"
    rmdir -- "$state_folder" 2>/dev/null || true
  fi
  printf '%s\n' "$list" | while IFS= read -r folder; do
    rmdir -- "$folder" 2>/dev/null || true
  done
}
