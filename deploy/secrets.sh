#!/usr/bin/env bash
# Make what compose.yaml reads from deploy/secrets: a key for each role, passwords; and deploy/.env with the
# user that the containers run as, so that only that user reads them. What is there already stays.
#
#     deploy/secrets.sh           RETORT=PROGRAM: which retort makes the keys (default: build/release/retort,
#                                 else the image `retort` by docker)
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")"
folder=$PWD/secrets
uid=$(id -u) gid=$(id -g)
[ "$uid" -ne 0 ] || uid=10001 gid=10001 # containers are never root
mkdir -p "$folder"
[ "$(id -u)" -ne 0 ] || chown "$uid:$gid" "$folder"

keys() {
  local program=${RETORT:-../build/release/retort}
  if [ -x "$program" ]; then "$program" keys --output "$folder/keys"
  else docker run --rm --read-only --user "$uid:$gid" --volume "$folder:/out" retort keys --output /out/keys
  fi
}

[ -d "$folder/keys" ] || keys
for name in redis.password http.keys grafana.password; do
  [ -s "$folder/$name" ] || head -c 24 /dev/urandom | base64 > "$folder/$name"
done
[ "$(id -u)" -ne 0 ] || chown -R "$uid:$gid" "$folder"
printf 'RETORT_UID=%s\nRETORT_GID=%s\n' "$uid" "$gid" > .env
echo "made $folder and $PWD/.env"
