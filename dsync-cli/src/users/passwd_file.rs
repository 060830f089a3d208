//! Files like `/etc/passwd`, as Dovecot's userdb driver `passwd-file` reads them.
//!
//! ```text
//! user:password:uid:gid:gecos:home:shell:extra fields
//! ```
//!
//! Later fields may be missing. A user and a group may be names or numbers; an empty one is not known. A user without the
//! field for one cannot be looked up; one that would be root is refused. The extra fields are words with blanks between them, and
//! those that begin with `userdb_` are for us. In an old form the eighth field is empty, and the ninth is a mail location.

use super::auth::fields;

/// A file is not read further than this, in bytes.
pub(crate) const LARGEST: u64 = 256 << 20;

/// A line of the file, as far as it says who a user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    /// A name or a number; empty if not known.
    pub(crate) uid: &'a str,
    /// A name or a number; empty if not known.
    pub(crate) gid: &'a str,
    /// As it is written; empty if not known.
    pub(crate) home: &'a str,
    /// Fields for a user database, `key=value` or `key`, without the prefix `userdb_` and before variables are expanded.
    pub(crate) fields: Vec<String>,
}

/// All users of a file, in its order. Lines that are no entries are left out.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(entry)
}

fn entry(line: &str) -> Option<Entry<'_>> {
    if line.is_empty() || line.starts_with(['#', ':']) {
        return None;
    }
    let mut all = line.splitn(8, ':');
    let name = all.next()?;
    let _password = all.next()?;
    let uid = all.next()?;
    let gid = all.next().unwrap_or_default();
    let _gecos = all.next();
    let home = all.next().unwrap_or_default();
    let _shell = all.next();
    Some(Entry { name, uid, gid, home, fields: extra_fields(all.next().unwrap_or_default()) })
}

fn extra_fields(extra: &str) -> Vec<String> {
    if let Some(old) = extra.strip_prefix(':') {
        let is_known = !old.is_empty() && !old.starts_with(':');
        return is_known.then(|| format!("mail={old}")).into_iter().collect();
    }
    let words = extra.split(' ').filter_map(|word| word.strip_prefix("userdb_")).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(&fields::unescape(word.as_bytes())).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Option<Entry<'_>> {
        entries(line).next()
    }

    #[test]
    fn an_entry_is_read() {
        let line =
            "joe:{PLAIN}x:5000:mail:Joe:/home/joe:/bin/sh:userdb_mail=maildir:~/Maildir x=y userdb_a=b\x01tc userdb_";
        let entry = one(line).unwrap();
        assert_eq!((entry.name, entry.uid, entry.gid, entry.home), ("joe", "5000", "mail", "/home/joe"));
        assert_eq!(entry.fields, ["mail=maildir:~/Maildir", "a=b\tc"]);
    }

    #[test]
    fn later_fields_may_be_missing() {
        let entry = one("joe:x:5000").unwrap();
        assert_eq!((entry.uid, entry.gid, entry.home), ("5000", "", ""));
        assert_eq!(one("joe:x::").unwrap().uid, "");
        assert_eq!(one("joe:x"), None, "a line for passwords only");
    }

    #[test]
    fn the_old_form_has_a_mail_location() {
        assert_eq!(one("joe:x:1:1::/h:::maildir:/m:INDEX=/i").unwrap().fields, ["mail=maildir:/m:INDEX=/i"]);
        assert!(one("joe:x:1:1::/h:::").unwrap().fields.is_empty());
    }

    #[test]
    fn other_lines_are_no_entries() {
        let names: Vec<_> = entries("\n# a:x:1\n:x:1\njoe:x:1\r\n\nanna:x:2").map(|entry| entry.name).collect();
        assert_eq!(names, ["joe", "anna"]);
    }

    proptest! {
        #[test]
        fn no_file_is_too_much(text in "[a:# \n\u{1}userdb_=é]{0,80}") {
            for entry in entries(&text) {
                prop_assert!(!entry.name.is_empty() && !entry.name.contains(':'));
            }
        }
    }
}
