#!/usr/bin/env bash
# Makes the stores beside this file anew with the Dovecot 2.3 that is installed, see README.md. Overwrites them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# Paths are in the files (dbox-alt-root), so the place is always the same.
work=/tmp/dsync-golden
rm -rf "$work"
mkdir -p "$work"/{home,run}
# Dovecot opens no mail as root.
as_user=()
owner=$(id -u)
if ((EUID == 0)); then
    owner=$(id -u nobody)
    as_user=(setpriv "--reuid=$owner" "--regid=$owner" --clear-groups)
    chown -R "$owner:$owner" "$work"
fi

# configure NAME LOCATION [LINE]...: writes $work/NAME.conf.
configure() {
    local name=$1 location=$2
    shift 2
    {
        cat <<END
base_dir = $work/run
state_dir = $work/run
log_path = $work/$name.log
mail_location = $location
mail_home = $work/home
mail_uid = $owner
mail_gid = $owner
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = root
default_login_user = root
ssl = no
protocols = imap
mdbox_rotate_size = 2k
namespace inbox {
  inbox = yes
  separator = /
}
END
        printf '%s\n' "$@"
    } > "$work/$name.conf"
}

# da NAME ARGUMENT...: doveadm on the store NAME.
da() {
    local name=$1
    shift
    ((EUID != 0)) || chown -R --from=root "$owner:$owner" "$work"
    USER=tester HOME=$work/home "${as_user[@]}" doveadm -c "$work/$name.conf" "$@" 2>> "$work/log"
}

# mail NUMBER LINES: a message.
mail() {
    printf 'From: sender%d@example.org\nTo: recipient@example.org\nSubject: Message %d\nMessage-ID: <%d@example.org>\n\n' \
        "$1" "$1" "$1"
    for ((line = 1; line <= $2; line++)); do
        printf 'Line %d of message %d, gr\303\274\303\237e\n' "$line" "$1"
    done
}

# bytes NUMBER COUNT: bytes that do not become smaller, always the same.
bytes() {
    for ((block = 0; block * 20 < $2; block++)); do
        printf '%d %d' "$1" "$block" | sha1sum | cut -c1-40
    done | xxd -r -p | head -c "$2"
}

# mail_with_attachments NUMBER COUNT LENGTH: a message with a base64 attachment of COUNT bytes in lines of LENGTH, and one
# as it is.
mail_with_attachments() {
    printf 'From: sender@example.org\nSubject: Attachments %d\nMIME-Version: 1.0\n' "$1"
    printf 'Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nSee below.\n'
    printf '\n--x\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n'
    printf 'Content-Disposition: attachment; filename=a.bin\n\n'
    bytes "$1" "$2" | base64 -w "$3"
    printf '\n--x\nContent-Type: application/x-text\nContent-Disposition: attachment; filename=b.txt\n\n'
    for line in {1..40}; do printf 'Attached line %d of %d\n' "$line" "$1"; done
    printf '\n--x--\nEpilogue\n'
}

# A Maildir with POP3 UIDLs, orders and GUIDs as a migration leaves them. Only such a migration writes them.
seed() {
    local root=$work/seed number base
    mkdir -p "$root"/{cur,new,tmp}
    printf '3 V1600000001 N20 G%032x\n' 17 > "$root/dovecot-uidlist"
    for number in 1 2 3 4 7 9; do
        base="160000000$number.M1P77.host"
        mail "$number" "$number" > "$root/cur/$base:2,S"
        touch -d "@155000000$number" "$root/cur/$base:2,S"
        case $number in
            1) fields='PUIDL-one O4 ' ;;
            2) fields="G$(printf '%032X' 43981) PUIDL-two O2 " ;;
            3) fields='Gsome.arbitrary:guid PUIDL-three ' ;;
            *) fields='' ;;
        esac
        printf '%d %s:%s\n' "$number" "$fields" "$base" >> "$root/dovecot-uidlist"
    done
}

# fill FORMAT: the store FORMAT with a bit of everything.
fill() {
    local format=$1 location=$1:$work/$1/root:ALT=$work/$1/alt
    mkdir -p "$work/$format/alt"
    configure "$format" "$location"
    configure "$format-gz" "$location" 'mail_plugins = zlib' 'plugin {' 'zlib_save = gz' '}'
    configure "$format-zstd" "$location" 'mail_plugins = zlib' 'plugin {' 'zlib_save = zstd' '}'
    da seed backup "$location"
    for mailbox in Archive/2024 Wörk; do da "$format" mailbox create "$mailbox"; done
    da "$format" mailbox subscribe INBOX Archive/2024
    for number in 20 21 22; do mail "$number" 15 | da "$format" save -m INBOX; done
    mail 23 12 | sed 's/$/\r/' | da "$format" save -m INBOX
    { mail 24 1; printf 'a lone \r and a NUL \0, no line end'; } | da "$format" save -m INBOX
    mail 30 200 | da "$format-gz" save -m Archive/2024
    mail 31 200 | da "$format-zstd" save -m Archive/2024
    mail 32 1 | da "$format-gz" save -m Archive/2024
    da "$format" flags add '\Flagged \Answered red $Label1' mailbox INBOX uid 2,20
    da "$format" flags add 'green red' mailbox INBOX uid 7
    da "$format" copy Wörk mailbox INBOX uid 3,20
    da "$format" copy INBOX mailbox INBOX uid 9
    da "$format-gz" copy Wörk mailbox Archive/2024 uid 1
    da "$format" altmove mailbox INBOX uid 1:3
    da "$format" expunge mailbox INBOX uid 4,21
    da "$format" purge
    mail 40 3 | da "$format" save -m Wörk
    da "$format" expunge mailbox Wörk uid 4
    mail 41 3 | da "$format" save -m Wörk
}

# fill_attachments FORMAT: the store FORMAT-attachments, whose attachments are in files of their own.
fill_attachments() {
    local name=$1-attachments attached
    attached=("mail_attachment_dir = $work/$name/attachments" 'mail_attachment_min_size = 500')
    configure "$name" "$1:$work/$name/root" "${attached[@]}"
    configure "$name-gz" "$1:$work/$name/root" "${attached[@]}" 'mail_plugins = zlib' 'plugin {' 'zlib_save = gz' '}'
    mail_with_attachments 1 1000 76 | da "$name" save -m INBOX
    mail_with_attachments 2 1001 72 | da "$name" save -m INBOX
    # The same bytes are stored once.
    mail_with_attachments 1 1000 76 | da "$name" save -m INBOX
    mail_with_attachments 3 1002 76 | sed 's/$/\r/' | da "$name" save -m INBOX
    mail_with_attachments 4 1500 64 | da "$name-gz" save -m INBOX
    mail 5 3 | da "$name" save -m INBOX
    da "$name" mailbox create Copies
    da "$name" copy Copies mailbox INBOX uid 2,4
}

# expect NAME CONFIGURATION: what Dovecot says about each mailbox and each message, and the SHA-1 of what it sends to an IMAP
# client.
expect() {
    da "$2" -f tab mailbox status 'messages uidvalidity uidnext highestmodseq guid' '*' |
        { read -r columns && echo "$columns" && sort; } > "$work/$1/mailboxes.txt"
    local fields='mailbox uid guid flags date.received.unixtime date.saved.unixtime size.virtual size.physical'
    da "$2" -f tab fetch "$fields pop3.uidl pop3.order" mailbox '*' all > "$work/table"
    USER=tester HOME=$work/home "${as_user[@]}" /usr/bin/python3 - "$work/$2.conf" "$work/table" \
        > "$work/$1/expected.txt" 2>> "$work/log" <<'END'
import base64, hashlib, subprocess, sys

def utf7(name):
    out, run = "", ""
    for c in name + "\0":
        if c != "\0" and not " " <= c <= "~":
            run += c
            continue
        if run:
            out += "&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
            run = ""
        out += "&-" if c == "&" else c
    return out[:-1]

imap = subprocess.Popen(["doveadm", "-c", sys.argv[1], "exec", "imap"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
imap.stdout.readline()

def command(text):
    literals = []
    imap.stdin.write(b"a " + text.encode() + b"\r\n")
    imap.stdin.flush()
    while not (line := imap.stdout.readline()).startswith(b"a "):
        if line.endswith(b"}\r\n"):
            literals.append(imap.stdout.read(int(line[line.rindex(b"{") + 1 : -3])))
    assert line.startswith(b"a OK"), line
    return literals

table = [line.split("\t") for line in open(sys.argv[2]).read().splitlines()]
print("\t".join(table[0] + ["sha1"]))
for row in sorted(table[1:], key=lambda row: (row[0], int(row[1]))):
    command(f'EXAMINE "{utf7(row[0])}"')
    (body,) = command(f"UID FETCH {row[1]} BODY.PEEK[]")
    print("\t".join(row + [hashlib.sha1(body).hexdigest()]))
END
}

configure seed "maildir:$work/seed"
seed
for format in mdbox sdbox; do
    fill "$format"
    expect "$format" "$format-gz"
    fill_attachments "$format"
    expect "$format-attachments" "$format-attachments-gz"
done
if grep -E 'Warning|Error|Fatal|Panic' "$work/log"; then exit 1; fi
for name in {mdbox,sdbox}{,-attachments}; do
    rm -rf "${here:?}/$name"
    cp -r "$work/$name" "$here/$name"
    # Links to absolute paths.
    rm -f "$here/$name/root/dbox-alt-root"
done
chmod -R u=rwX,go=rX "$here"
rm -rf "$work"
