#!/bin/sh
# Installs Leeward {{version}} for this user, or removes it: install.sh --help says how. Needs no root and asks nothing.
# Everything stands in functions and the last line calls them: of a script that was cut on its way nothing runs.
set -eu

VERSION='{{version}}'
KEY='{{key}}'
URL=${LEEWARD_RELEASE_URL:-'{{url}}'}
BEGIN='# >>> leeward >>>'
END='# <<< leeward <<<'

# Hash, platform, file, the oldest glibc that will do.
sums() {
    cat <<'SUMS'
{{sums}}
SUMS
}

usage() {
    cat <<'USAGE'
Usage: install.sh [OPTIONS]
  --prefix FOLDER    where to install: FOLDER/bin and FOLDER/share (default: ~/.local)
  --no-modify-path   leave the shells' profiles as they are
  --checksum-only    go on where no tool can check the signature (minisign, or openssl 3)
  --uninstall        remove the programs, what `leeward setup` has set, and the lines in the profiles
  --purge            with --uninstall: the config, the history and the logs, too
Variables:
  LEEWARD_RELEASE_URL   another place for the files of this release
USAGE
}

say() { printf '%s\n' "leeward: $*"; }

stop() {
    printf '%s\n' "leeward: $*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

platform() {
    case $(uname -s) in
        Linux) os=linux ;;
        Darwin) os=darwin ;;
        *) stop "there is no program for $(uname -s)" ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) cpu=x64 ;;
        aarch64 | arm64) cpu=arm64 ;;
        *) stop "there is no program for $(uname -m)" ;;
    esac
    # A shell under Rosetta takes the machine for an Intel one.
    if [ "$os" = darwin ] && [ "$(sysctl -n hw.optional.arm64 2>/dev/null || echo 0)" = 1 ]; then cpu=arm64; fi
    if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then stop "there is no program for a 32-bit system"; fi
    platform=$os-$cpu
    glibc=
    if [ "$os" = linux ]; then
        # glibc first: a system with glibc may have musl's loader as well.
        glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
        if [ -z "$glibc" ] && [ -n "$(find /lib -maxdepth 1 -name 'ld-musl-*' 2>/dev/null)" ]; then
            platform=$platform-musl
        fi
    fi
}

# Whether version $1 is at least $2; both are like 2.36.
at_least() {
    [ "${1%%.*}" -gt "${2%%.*}" ] || { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${1#*.}" -ge "${2#*.}" ]; }
}

fetch() {
    if have curl; then
        curl -fsSL --connect-timeout 20 -o "$2" "$1" || stop "can't fetch $1"
    elif have wget; then
        wget -q -O "$2" "$1" || stop "can't fetch $1"
    else
        stop "neither curl nor wget is installed; one of them is needed to fetch $1"
    fi
}

# Without a tool that can do it, nothing is installed.
check_hash() {
    if have sha256sum; then
        found=$(sha256sum "$1")
    elif have shasum; then
        found=$(shasum -a 256 "$1")
    elif have openssl; then
        found=$(openssl dgst -sha256 -r "$1")
    else
        stop "neither sha256sum, shasum nor openssl is installed; one of them is needed to check the file"
    fi
    [ "${found%%[ *]*}" = "$2" ] || stop "$file is not the file that was published: its checksum is ${found%%[ *]*}, not $2"
}

openssl_3() { have openssl && case $(openssl version) in "OpenSSL "[3-9]*) true ;; *) false ;; esac }

# $1 is the file, $2 its signature in minisign's form, $3 what the signed comment must say.
check_signature() {
    comment=$(sed -n '3s/^trusted comment: //p' "$2")
    if have minisign; then
        minisign -Vqm "$1" -x "$2" -P "$KEY" >/dev/null || stop "the signature of $file is wrong"
    elif openssl_3; then
        check_by_openssl "$1" "$2" || stop "the signature of $file is wrong"
    elif [ "$checksum_only" = yes ]; then
        say "the signature is not checked: neither minisign nor openssl 3 is installed"
        return
    else
        stop "the signature can't be checked: install minisign or openssl 3, or go on with --checksum-only"
    fi
    # A signature of an older release is valid, too.
    [ "$comment" = "$3" ] || stop "the signature of $file is for \"$comment\", not for \"$3\""
}

part() { dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null; }

# What minisign does: BLAKE2b of the file is signed, then that signature with the comment.
check_by_openssl() {
    printf '%s' "$KEY" | openssl base64 -d -A >"$work/key"
    sed -n 2p "$2" | openssl base64 -d -A >"$work/first"
    sed -n 4p "$2" | openssl base64 -d -A >"$work/second"
    [ "$(part "$work/first" 0 2)" = ED ] || return 1
    [ "$(part "$work/first" 2 8 | od -An -tx1)" = "$(part "$work/key" 2 8 | od -An -tx1)" ] || return 1
    {
        printf '\060\052\060\005\006\003\053\145\160\003\041\000'
        part "$work/key" 10 32
    } >"$work/key.der"
    part "$work/first" 10 64 >"$work/signature"
    openssl dgst -blake2b512 -binary -out "$work/hash" "$1" || return 1
    by_key "$work/hash" "$work/signature" || return 1
    {
        cat "$work/signature"
        printf '%s' "$comment"
    } >"$work/signed"
    by_key "$work/signed" "$work/second"
}

by_key() {
    openssl pkeyutl -verify -pubin -inkey "$work/key.der" -keyform DER -rawin -in "$1" -sigfile "$2" >/dev/null 2>&1
}

install() {
    platform
    line=$(sums | sed -n "s/^\([0-9a-f]*\) $platform /\1 /p")
    [ -n "$line" ] || stop "release $VERSION has no program for $platform; it has: $(sums | cut -d' ' -f2 | tr '\n' ' ')"
    # shellcheck disable=SC2086 # three words
    set -- $line
    hash=$1 file=$2 needs=${3-}
    if [ -n "$needs" ] && [ -n "$glibc" ] && ! at_least "$glibc" "$needs"; then
        stop "this system has glibc $glibc, and the program needs $needs or newer"
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    say "fetching $URL/$file"
    fetch "$URL/$file" "$work/$file"
    check_hash "$work/$file" "$hash"
    fetch "$URL/$file.minisig" "$work/$file.minisig"
    check_signature "$work/$file" "$work/$file.minisig" "leeward $VERSION $file"
    tar -xzf "$work/$file" -C "$work"
    new=$work/${file%.tar.gz}
    says=$("$new/bin/leeward" --version) || stop "the program does not run on this system; nothing was installed"
    [ "$says" = "leeward $VERSION" ] || stop "the program says it is \"$says\", not leeward $VERSION; nothing was installed"
    if [ -e "$prefix/share/leeward" ] && [ ! -f "$receipt" ]; then
        stop "$prefix/share/leeward belongs to another installation; remove that, or name another --prefix"
    fi
    first=yes
    if [ -f "$receipt" ]; then first=no; fi
    kept=$(sed -n '/^profile=/p; /^created=/p; /^added=/p' "$receipt" 2>/dev/null || true)
    mkdir -p "$prefix/bin" "$prefix/share"
    rm -rf "$prefix/share/leeward.new"
    cp -R "$new/share/leeward" "$prefix/share/leeward.new"
    if [ -d "$new/share/doc/leeward" ]; then cp -R "$new/share/doc/leeward" "$prefix/share/leeward.new/doc"; fi
    {
        printf 'version=%s\n' "$VERSION"
        for program in "$new"/bin/*; do printf 'program=%s\n' "$prefix/bin/${program##*/}"; done
        if [ -n "$kept" ]; then printf '%s\n' "$kept"; fi
    } >"$prefix/share/leeward.new/receipt"
    # A program that runs goes on with its file: the new one takes the name only.
    for program in "$new"/bin/*; do
        cp "$program" "$prefix/bin/.${program##*/}.new"
        mv -f "$prefix/bin/.${program##*/}.new" "$prefix/bin/${program##*/}"
    done
    rm -rf "$prefix/share/leeward"
    mv "$prefix/share/leeward.new" "$prefix/share/leeward"
    say "installed leeward $VERSION in $prefix/bin"
    on_path "$first"
}

on_path() {
    case ":$PATH:" in
        *":$prefix/bin:"*)
            say "next: leeward wrap claude"
            return
            ;;
    esac
    if [ "$modify_path" = yes ] && [ "$1" = yes ]; then
        if [ -n "${GITHUB_PATH-}" ]; then printf '%s\n' "$prefix/bin" >>"$GITHUB_PATH"; fi
        add_block "$HOME/.profile" always
        for profile in "$HOME/.bash_profile" "$HOME/.bash_login" "$HOME/.bashrc" "${ZDOTDIR:-$HOME}/.zshrc"; do
            add_block "$profile" existing
        done
        fish=${XDG_CONFIG_HOME:-$HOME/.config}/fish/conf.d
        if [ -d "$fish" ]; then
            printf 'fish_add_path --path %s\n' "'$prefix/bin'" >"$fish/leeward.fish"
            printf 'added=%s\n' "$fish/leeward.fish" >>"$receipt"
        fi
        say "next, in a new terminal: leeward wrap claude"
    else
        say "next: $prefix/bin/leeward wrap claude"
    fi
}

add_block() {
    if [ ! -f "$1" ]; then
        [ "$2" = always ] || return 0
        printf 'created=%s\n' "$1" >>"$receipt"
    elif grep -qF "$BEGIN" "$1"; then
        return 0
    fi
    printf 'profile=%s\n' "$1" >>"$receipt"
    # shellcheck disable=SC2016 # for the shell that reads the profile
    # The line break before the mark is ours: a file may end without one.
    printf '\n%s\ncase ":$PATH:" in *":%s:"*) ;; *) export PATH="%s:$PATH" ;; esac\n%s\n' \
        "$BEGIN" "$prefix/bin" "$prefix/bin" "$END" >>"$1"
    say "added $prefix/bin to the PATH in $1"
}

remove_block() {
    [ -f "$1" ] || return 0
    awk -v begin="$BEGIN" -v end="$END" '
        $0 == begin { owed = 0; cut = 1; skip = 1; next }
        skip { if ($0 == end) skip = 0; next }
        {
            if (owed || (cut && last != "")) printf "\n"
            cut = 0
            printf "%s", $0
            owed = 1
            last = $0
        }
        END { if (owed) printf "\n" }' "$1" >"$work/profile"
    # The file itself is kept, with its mode, or as the link that it is.
    cat "$work/profile" >"$1"
}

uninstall() {
    [ -f "$receipt" ] || stop "nothing is installed in $prefix by this script (there is no $receipt)"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    leeward=$prefix/bin/leeward
    if [ -x "$leeward" ]; then
        for undo in 'setup all --undo --yes' 'service uninstall'; do
            # Not every release has them.
            if "$leeward" help "${undo%% *}" >/dev/null 2>&1; then
                # shellcheck disable=SC2086 # words
                "$leeward" $undo || stop "\`leeward $undo\` failed; nothing was removed"
            fi
        done
    fi
    autostart=${XDG_CONFIG_HOME:-$HOME/.config}/autostart
    for entry in "$autostart"/*.desktop; do
        if [ -f "$entry" ] && grep -qF "$prefix/bin/leeward-tray" "$entry"; then rm -f "$entry"; fi
    done
    sed -n 's/^profile=//p' "$receipt" | while IFS= read -r profile; do remove_block "$profile"; done
    sed -n 's/^created=//p' "$receipt" | while IFS= read -r profile; do
        if [ -f "$profile" ] && [ ! -s "$profile" ]; then rm -f "$profile"; fi
    done
    sed -n 's/^program=//p; s/^added=//p' "$receipt" | while IFS= read -r program; do rm -f "$program"; done
    rm -rf "$prefix/share/leeward"
    for folder in "$prefix/bin" "$prefix/share" "$prefix"; do rmdir "$folder" 2>/dev/null || true; done
    for folder in "${XDG_CONFIG_HOME:-$HOME/.config}/leeward" "${XDG_STATE_HOME:-$HOME/.local/state}/leeward" \
        "$HOME/Library/Application Support/leeward"; do
        if [ ! -d "$folder" ]; then continue; fi
        if [ "$purge" = yes ]; then rm -rf "$folder"; else say "kept $folder (--purge removes it)"; fi
    done
    say "removed from $prefix"
}

main() {
    action=install prefix=${LEEWARD_PREFIX:-$HOME/.local} modify_path=yes checksum_only=no purge=no
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix)
                [ $# -gt 1 ] || stop "--prefix needs a folder"
                prefix=$2
                shift
                ;;
            --no-modify-path) modify_path=no ;;
            --checksum-only) checksum_only=yes ;;
            --uninstall) action=uninstall ;;
            --purge) purge=yes ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) stop "there is no option $1; --help names them" ;;
        esac
        shift
    done
    case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
    receipt=$prefix/share/leeward/receipt
    $action
}

main "$@"
