# Part of install.sh: what the configuration has to hold, asked for where it was not given, and the file itself.

yaml_text() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

ask() {
  [ -t 0 ] || wrong "$2 is needed"
  printf '    %s: ' "$1" >&2
  IFS= read -r answer
  printf '%s' "$answer"
}

is_key() { [ ${#1} -eq 44 ] && ! printf '%s' "$1" | LC_ALL=C grep -q '[^A-Za-z0-9+/=]'; }

# What is to be in the configuration: asked for, checked, and made absolute.
find_settings() {
  [ -n "$network" ] || network=$(ask 'Network document (file or https://...)' --network)
  case $network in
    https://* | http://127.* | http://localhost*) ;;
    *://*) wrong "--network: $network is neither a file nor https://..." ;;
    /*) ;;
    *) network=$PWD/$network ;;
  esac
  case $network in /*) [ -r "$network" ] || die "the network document $network cannot be read" ;; esac
  [ -n "$keys" ] || keys=$(ask 'Keys of its directories, with spaces between' --key)
  count=0
  for key in $keys; do
    is_key "$key" || wrong "--key: $key is not the base64 text of a 32-byte key"
    count=$((count + 1))
  done
  [ $count -gt 0 ] || wrong '--key is needed'
  [ -n "$threshold" ] || threshold=$count
  case $threshold in '' | *[!0-9]* | 0*) wrong "--threshold: $threshold is no number of keys" ;; esac
  case $port in '' | *[!0-9]*) wrong "--port: $port is no port" ;; esac
  [ "$threshold" -le $count ] || wrong "--threshold: more than the $count keys that there are"
}

write_config() {
  make_folder "$config_folder"
  if [ -e "$config" ]; then
    say "    kept $config as it is"
    return
  fi
  write "$config" 600 <<CONFIG
# What else can be set stands in native-host/config.example.yaml.
network:
  document: $(yaml_text "$network")
  trust:
    keys:
$(for key in $keys; do printf '      - %s\n' "$(yaml_text "$key")"; done)
    threshold: $threshold
endpoint:
  port: $port
CONFIG
}
