# Part of install.sh: what the configuration has to hold, asked for where it was not given, and the file itself.

yaml_text() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

ask() {
  [ -t 0 ] || wrong "$2 is needed"
  printf '    %s: ' "$1" >&2
  IFS= read -r answer
  printf '%s' "$answer"
}

fits() { printf '%s' "$1" | LC_ALL=C grep -Eqx "$2"; }

# 32 bytes: the last letter has two bits too many, which are 0.
is_key() { fits "$1" '[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]='; }

is_loopback() { fits "$1" 'http://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]{1,5})?(/.*)?'; }

# What is to be in the configuration: asked for, checked, and made absolute.
find_settings() {
  [ -n "$network" ] || network=$(ask 'Network document (file or https://...)' --network)
  case $network in
    *"$newline"*) wrong '--network: there is a line break in it' ;;
    https://*) ;;
    *://*) is_loopback "$network" || wrong "--network: $network is neither a file nor https://..." ;;
    /*) ;;
    *) network=$PWD/$network ;;
  esac
  case $network in /*) [ -r "$network" ] || die "the network document $network cannot be read" ;; esac
  [ -n "$keys" ] || keys=$(ask 'Keys of its directories, with spaces between' --key)
  count=0 seen=''
  for key in $keys; do
    is_key "$key" || wrong "--key: $key is not the base64 text of a 32-byte key"
    case $seen in *" $key "*) wrong "--key: $key is there twice" ;; esac
    seen="$seen $key "
    count=$((count + 1))
  done
  [ $count -gt 0 ] || wrong '--key is needed'
  [ -n "$threshold" ] || threshold=$count
  fits "$threshold" '[1-9][0-9]?' || wrong "--threshold: $threshold is no number of keys"
  { fits "$port" '0|[1-9][0-9]{0,4}' && [ "$port" -le 65535 ]; } || wrong "--port: $port is no port"
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
