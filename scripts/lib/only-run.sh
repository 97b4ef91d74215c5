# Sourced by scripts/dev: one run on a folder of data, since two would hold the same objects.

# The lock goes with this process and with what it is replaced by, not with the children of that, whatever ends it.
only_run_on_data() {
  local folder="${DATA:-.data}"
  mkdir -p "$folder"
  command -v flock >/dev/null || return 0
  exec 9>>"$folder/dev.lock"
  flock -n 9 || stop "✗ The chat of $folder runs already, on port $(cat "$folder/dev.lock")." \
    "  For a second one beside it: PORT=3005 PGLITE_PORT=5434 DATA=.data/second ./scripts/dev"
  echo "${PORT:-3004}" >"$folder/dev.lock"
}
