#!/usr/bin/env bash
# Makes the mbox files beside this file anew with the Dovecot 2.3 that is installed, see README.md. Overwrites them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=/tmp/dsync-golden-mbox
rm -rf "$work"
mkdir -p "$work"/{home,run,mail}
export TZ=UTC
# Dovecot opens no mail as root.
as_user=()
owner=$(id -u)
if ((EUID == 0)); then
    owner=$(id -u nobody)
    as_user=(setpriv "--reuid=$owner" "--regid=$owner" --clear-groups)
fi
cat > "$work/conf" <<END
base_dir = $work/run
state_dir = $work/run
log_path = $work/log
mail_location = mbox:$work/mail
mail_home = $work/home
mail_uid = $owner
mail_gid = $owner
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = root
default_login_user = root
ssl = no
protocols = imap
namespace inbox {
  inbox = yes
  separator = /
}
END

# da ARGUMENT...: doveadm on the store.
da() {
    ((EUID != 0)) || chown -R "$owner:$owner" "$work"
    USER=tester HOME=$work/home "${as_user[@]}" doveadm -c "$work/conf" "$@" 2>> "$work/log"
}

# mail NUMBER LINES: a message.
mail() {
    printf 'From: sender%d@example.org\nTo: recipient@example.org\nSubject: Message %d\nMessage-ID: <%d@example.org>\n' \
        "$1" "$1" "$1"
    printf 'Date: Thu, 9 Nov 2023 22:33:%02d +0000\n\n' "$1"
    for ((line = 1; line <= $2; line++)); do
        printf 'Line %d of message %d, gr\303\274\303\237e\n' "$line" "$1"
    done
}

# from NUMBER: the From_ line of a message, as programs write it that are no Dovecot.
from() {
    printf 'From sender%d@example.org Thu Nov  9 22:33:%02d 2023\n' "$1" "$1"
}

made_by_dovecot() {
    local number
    for name in saved rewritten emptied refilled; do da mailbox create "$name"; done
    for name in saved rewritten; do
        for number in 1 2 3 4; do mail "$number" "$((number * 20))" | da save -m "$name"; done
        mail 5 2 | sed 's/$/\r/' | da save -m "$name"
        { mail 6 1; printf 'From a@b Thu Nov  9 22:33:52 2023\n>From x\nFrom \na lone \r and a NUL \0, no line end'; } |
            da save -m "$name"
        { printf 'From a@b Thu Nov  9 22:33:52 2023\nStatus: RO\nX-UID: 99\nX-Keywords: Foreign\n'; mail 7 1; } |
            da save -m "$name"
        da flags add '\Seen' mailbox "$name" uid 1:3
        da flags add '\Flagged \Answered $Forwarded' mailbox "$name" uid 2,5
        da flags add '\Deleted \Draft Work $Label1' mailbox "$name" uid 2,3
    done
    # The first message goes, so X-IMAPbase gets its place behind X-Keywords; others move.
    da expunge mailbox rewritten uid 1,4
    da flags replace "Long$(printf '%040d' 0)" mailbox rewritten uid 6
    da flags remove '\Seen $Forwarded' mailbox rewritten uid 2
    for name in emptied refilled; do
        for number in 1 2; do mail "$number" 2 | da save -m "$name"; done
        da flags add 'Keyword' mailbox "$name" uid 1
        da expunge mailbox "$name" all
    done
    for number in 3 4; do mail "$number" 2 | da save -m refilled; done
    da flags add 'Keyword' mailbox refilled uid 4
}

made_by_others() {
    local blanks number length
    blanks=$(printf '%40s' '')
    # UW-IMAP and its descendants.
    {
        printf 'From MAILER-DAEMON Thu Nov  9 22:33:00 2023\nDate: 09 Nov 2023 22:33:00 +0000\n'
        printf 'From: Mail System Internal Data <MAILER-DAEMON@host>\n'
        printf "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nMessage-ID: <1699569180@host>\n"
        printf 'X-IMAP: 1699569180 0000000012 Work $Label1\nStatus: RO\n\nThis text is part of the internal format.\n\n'
        for number in 1 2 3; do
            from "$number"
            mail "$number" 3 | sed "s/^\$/Status: RO\nX-Status: AF\nX-Keywords: Work$blanks\nX-UID: $((number * 3))\n/"
            echo
        done
    } > "$work/mail/c-client"
    # Thunderbird.
    for number in 1 2 3; do
        printf 'From - Thu Nov  9 22:33:%02d 2023\nX-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\n' "$number"
        printf 'X-Mozilla-Keys: %80s\n' ''
        mail "$number" 3
        echo
    done > "$work/mail/thunderbird"
    # With CRLF.
    for number in 1 2 3; do
        from "$number"
        mail "$number" 3
        echo
    done | sed 's/$/\r/' > "$work/mail/crlf"
    # Procmail and others: lines that begin with "From " are quoted. mboxrd quotes the quoted, too.
    for number in 1 2 3; do
        from "$number"
        mail "$number" 1
        printf '>From here on\n>>From there\n>From a@b Thu Nov  9 22:33:52 2023\n\n'
    done > "$work/mail/mboxrd"
    # Solaris and others: mboxcl2, lines that begin with "From " are not quoted. Some lengths are wrong.
    for number in 1 2 3 4; do
        body=$(printf 'From the start\nFrom a@b Thu Nov  9 22:33:52 2023\nSubject: no message\n\nx')
        # With its last line end; behind it is the empty line before the next message.
        length=$((${#body} + 1))
        ((number != 3)) || length=$((length + 7))
        from "$number"
        mail "$number" 0 | sed "s/^\$/Content-Length: $length\n/"
        printf '%s\n\n' "$body" | { ((number == 3)) && sed 's/^From/>From/' || cat; }
    done > "$work/mail/content-length"
    # Local delivery: nothing but From_ lines, dates in all forms, things that are almost From_ lines.
    {
        for line in 'a@b Thu Nov  9 22:33 2023' '"a b"@c Thu Nov 9 22:33:52 EST 2023' 'a@b Thu, 9 Nov 2023 22:33:52 +0100' \
            'a@b  Thu Nov 09 22:33:52 2023 +0100' 'a@b Thu Nov  9 22:33:52 +0100 2023 remote from c'; do
            printf 'From %s\nSubject: %s\n\nFrom - \nFrom x\nfrom a@b Thu Nov  9 22:33:52 2023\n\n\n' "$line" "$line"
        done
        printf 'From a@b Thu Nov  9 22:33:52 2023\nSubject: no end'
    } > "$work/mail/local"
}

made_by_dovecot
made_by_others
for file in "$work/mail"/*; do cp "$file" "$here/${file##*/}.mbox"; done
# Dates first, and one by one: if a body has From_ lines in it, Dovecot 2.3 takes the date of such a line for that of the next
# message which it reads in the same run, and remembers it.
da -f tab fetch 'mailbox uid' mailbox '*' all > "$work/uids"
while IFS=$'\t' read -r mailbox uid; do
    [[ $uid == uid ]] || da fetch 'date.received.unixtime' mailbox "$mailbox" uid "$uid" > /dev/null < /dev/null
done < "$work/uids"
# What Dovecot says about each message, and the SHA-1 of what it sends to an IMAP client.
fields='mailbox uid guid flags date.received.unixtime size.physical'
da -f tab fetch "$fields" mailbox '*' all > "$work/table"
((EUID != 0)) || chown -R "$owner:$owner" "$work"
USER=tester HOME=$work/home "${as_user[@]}" /usr/bin/python3 - "$work/conf" "$work/table" > "$here/expected.txt" 2>> "$work/log" <<'END'
import hashlib, subprocess, sys

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
    command(f'EXAMINE "{row[0]}"')
    (body,) = command(f"UID FETCH {row[1]} BODY.PEEK[]")
    print("\t".join(row + [hashlib.sha1(body).hexdigest()]))
END
if grep -E 'Warning|Error|Fatal|Panic' "$work/log"; then exit 1; fi
chmod -R u=rwX,go=rX "$here"
rm -rf "$work"
