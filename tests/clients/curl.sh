#!/bin/sh
# curl against the Messages API, streamed and whole, with and without "Expect: 100-continue". Prints the line of JSON that
# tests/clients.rs reads. It retries nothing itself: one curl is one request.
set -u
calls=0 ok=0 errors='' contents=''

# ask NAME SIGN CURL-ARGUMENTS...: one call; its answer must contain SIGN and be the same every time.
ask() {
    name=$1 sign=$2
    shift 2
    calls=$((calls + 1))
    if ! answer=$(curl --silent --show-error --fail --max-time 60 --no-buffer \
        --header 'content-type: application/json' --header 'anthropic-version: 2023-06-01' "$@" 2>&1); then
        fail "$(printf '%s' "$answer" | tr -d '"\\\r\n')"
        return
    fi
    case $answer in
        *"$sign"*) ;;
        *) fail "the answer lacks $sign" && return ;;
    esac
    sum=$(printf '%s' "$answer" | cksum | tr ' ' '-')
    eval "first=\${first_$name:-}"
    if [ -z "$first" ]; then
        eval "first_$name=\$sum"
        contents="$contents${contents:+,}\"$name\":\"$sum\""
    elif [ "$first" != "$sum" ]; then
        fail 'the content differs from the first time'
        return
    fi
    ok=$((ok + 1))
}

fail() {
    errors="$errors${errors:+,}\"$name: $1\""
}

question() {
    printf '{"model":"claude-demo","max_tokens":120,"stream":%s,"messages":[]}' "$1"
}

round=0
while [ "$round" -lt "${1:-1}" ]; do
    round=$((round + 1))
    ask whole end_turn --data "$(question false)" "$ANTHROPIC_BASE_URL/v1/messages"
    ask stream message_stop --data "$(question true)" "$ANTHROPIC_BASE_URL/v1/messages"
    ask expect end_turn --header 'expect: 100-continue' --data "$(question false)" "$ANTHROPIC_BASE_URL/v1/messages"
    ask chunked end_turn --header 'transfer-encoding: chunked' --data "$(question false)" "$ANTHROPIC_BASE_URL/v1/messages"
    ask models claude-demo "$ANTHROPIC_BASE_URL/v1/models"
done
printf '{"calls":%s,"ok":%s,"errors":[%s],"contents":{%s}}\n' "$calls" "$ok" "$errors" "$contents"
