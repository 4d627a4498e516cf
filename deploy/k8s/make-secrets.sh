#!/usr/bin/env bash
# Make the secrets of a run: a key for each role, Redis' password and its user, keys of the statistics.
#
#     ./deploy/k8s/make-secrets.sh FOLDER [--teacher-key FILE] [--namespace NAME]
#     kubectl kustomize FOLDER | kubectl apply -f -
#
# FOLDER must not exist: secrets in use are never written over. Keep it as you keep any secret, outside
# of version control. RETORT names the program where it is not in the PATH.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "make-secrets: $*" >&2; exit 1; }

folder=${1:-}
[ -n "$folder" ] && [ "${folder#-}" = "$folder" ] || usage
shift
namespace=retort teacher_key=
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --teacher-key) teacher_key=$2 ;;
    --namespace) namespace=$2 ;;
    *) usage ;;
  esac
  shift 2
done
retort=${RETORT:-retort}
command -v "$retort" >/dev/null || fail "no retort in the PATH; say where it is: RETORT=build/release/retort $0 ..."
[ ! -e "$folder" ] || fail "$folder exists already; secrets in use are not written over"
[ -z "$teacher_key" ] || [ -s "$teacher_key" ] || fail "$teacher_key: no such file, or empty"

umask 077
mkdir -p "$folder"
random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }
"$retort" keys --output "$folder/keys" >/dev/null
random > "$folder/redis.password"
random > "$folder/scrape.token"
# Statistics: one key for people, one for Prometheus, so that either can be replaced alone.
{ random; echo; cat "$folder/scrape.token"; echo; } > "$folder/http.keys"
# What docs/security.md lists, and no more. Redis keeps the password's hash, not the password.
hash=$(sha256sum < "$folder/redis.password" | cut -d' ' -f1)
{ echo 'user default off resetpass -@all'
  echo "user retort on #$hash ~retort:* resetchannels -@all +@stream +@connection +@scripting +info +del"
} > "$folder/users.acl"
[ -z "$teacher_key" ] || cp "$teacher_key" "$folder/teacher-api.key"

{ cat <<YAML
# Made by make-secrets.sh: kubectl kustomize . | kubectl apply -f -
namespace: $namespace
generatorOptions:
  disableNameSuffixHash: true
secretGenerator:
  - name: retort-redis
    files: [password=redis.password]
  - name: retort-redis-acl
    files: [users.acl]
  - name: retort-http
    files: [http.keys]
  - name: retort-scrape
    files: [token=scrape.token]
YAML
  for role in coordinator server student teacher; do
    printf '  - name: retort-keys-%s\n    files: [keys/%s.key, keys/allowed]\n' "$role" "$role"
  done
  [ -z "$teacher_key" ] || printf '  - name: retort-teacher-api\n    files: [key=teacher-api.key]\n'
} > "$folder/kustomization.yaml"
echo "secrets for namespace $namespace are in $folder; apply them: kubectl kustomize $folder | kubectl apply -f -"
