//! What a user database says about a user.

use nix::unistd::{Gid, Uid};
use thiserror::Error;

/// One user, as the auth process, a passwd-file or the system knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserRecord {
    /// The name that counts from here on. It may be another one than was asked for: `JOE` gives `joe`.
    pub(crate) name: String,
    /// Never 0, and never the value that stands for "no user" in system calls.
    pub(crate) uid: Option<Uid>,
    /// Never the value that stands for "no group" in system calls.
    pub(crate) gid: Option<Gid>,
    /// The home directory, not yet looked at: it may have `/./` in it.
    pub(crate) home: Option<String>,
    /// Where to change the root directory to.
    pub(crate) chroot: Option<String>,
    /// Whose supplementary groups to take.
    pub(crate) system_groups_user: Option<String>,
    /// Where to work, if not in the home directory.
    pub(crate) directory: Option<String>,
    /// All other fields, which override settings, sorted by name. A name may end with `+`: the value is to be appended.
    pub(crate) settings: Vec<(String, String)>,
}

/// Why what a user database says cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RecordError {
    /// There is no name, or it is not text.
    #[error("the answer has no user name that could be read")]
    Name,
    /// A field is not text.
    #[error("the field {0} is not UTF-8")]
    NotText(String),
    /// A field is no number of a user or group.
    #[error("the field {field} says {value:?}, which is no number of a user or group")]
    NotNumber {
        /// The name of the field.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// The user would be root.
    #[error("the uid is 0; mail is never accessed as root, give the user another uid")]
    Root,
}

/// Fields that say something about the session of a client, not about settings.
const NOT_SETTINGS: [&str; 9] =
    ["admin", "anonymous", "auth_mech", "auth_token", "auth_user", "login_user", "master_user", "nice", "proxy"];

/// Values like these have a meaning of their own in system calls.
const NO_ID: u32 = u32::MAX;

impl UserRecord {
    /// Reads `name` and `key=value` fields. A field without a value says `yes`; of several with one name the last counts.
    pub(crate) fn from_fields(mut all: impl Iterator<Item = Vec<u8>>) -> Result<Self, RecordError> {
        let name = all.next().and_then(|name| String::from_utf8(name).ok()).ok_or(RecordError::Name)?;
        let mut record = Self { name, ..Self::default() };
        for field in all {
            let field = String::from_utf8(field).map_err(|error| RecordError::NotText(key_of(error.as_bytes())))?;
            let (key, value) = field.split_once('=').unwrap_or((&field, "yes"));
            record.add(key, value)?;
        }
        record.settings.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(record)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), RecordError> {
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            "uid" => match number("uid", value)? {
                0 => return Err(RecordError::Root),
                uid => self.uid = Some(Uid::from_raw(uid)),
            },
            "gid" => self.gid = Some(Gid::from_raw(number("gid", value)?)),
            "home" => self.home = text(),
            "chroot" => self.chroot = text(),
            "system_groups_user" => self.system_groups_user = text(),
            "chdir" => self.directory = text(),
            "" => {}
            other if NOT_SETTINGS.contains(&other) => {}
            other => self.settings.push((other.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}

fn number(field: &'static str, value: &str) -> Result<u32, RecordError> {
    let is_decimal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = value.parse().ok().filter(|id| is_decimal && *id != NO_ID);
    parsed.ok_or_else(|| RecordError::NotNumber { field, value: value.to_owned() })
}

/// The name of a field whose value cannot be shown.
fn key_of(field: &[u8]) -> String {
    let key = field.split(|byte| *byte == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::auth::fields;
    use super::*;

    fn read(line: &str) -> Result<UserRecord, RecordError> {
        UserRecord::from_fields(fields::split(line.as_bytes()))
    }

    #[test]
    fn fields_are_told_apart() {
        let line = "joe\tuid=5000\t\tgid=5001\thome=/home/joe\tchroot=/srv\tsystem_groups_user=joe\tchdir=/tmp\t\
                    mail=maildir:~/Maildir\tnice=5\tmail_debug\tmail_plugins+= acl\tquota_rule=*:storage=1G";
        let record = read(line).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(record.name, "joe");
        assert_eq!((record.uid, record.gid), (Some(Uid::from_raw(5000)), Some(Gid::from_raw(5001))));
        assert_eq!((record.home, record.chroot), (text("/home/joe"), text("/srv")));
        assert_eq!((record.system_groups_user, record.directory), (text("joe"), text("/tmp")));
        let settings: Vec<_> = record.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [
            ("mail", "maildir:~/Maildir"),
            ("mail_debug", "yes"),
            ("mail_plugins+", " acl"),
            ("quota_rule", "*:storage=1G"),
        ];
        assert_eq!(settings, expected);
    }

    #[test]
    fn settings_are_sorted_by_bytes_and_keep_their_order_otherwise() {
        let record = read("joe\tmail_location=1\tmail=2\tmail=3\tB=4").unwrap();
        let values: String = record.settings.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, "4231", "a key that is the beginning of another comes first");
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for value in ["", "-1", "+5", "4294967295", "4294967296", "5 ", "joe", "0x10", "99999999999999999999"] {
            for field in ["uid", "gid"] {
                let error = RecordError::NotNumber { field, value: value.to_owned() };
                assert_eq!(read(&format!("joe\t{field}={value}")), Err(error));
            }
        }
        assert_eq!(read("joe\tuid=0"), Err(RecordError::Root));
        assert_eq!(read("joe\tuid=00"), Err(RecordError::Root));
        assert_eq!(read("joe\tuid=5\tuid=0"), Err(RecordError::Root));
    }

    #[test]
    fn what_is_no_text_is_refused_without_being_shown() {
        let of = |fields: &[&[u8]]| UserRecord::from_fields(fields.iter().map(|field| field.to_vec()));
        assert_eq!(of(&[]), Err(RecordError::Name));
        assert_eq!(of(&[b"j\xff"]), Err(RecordError::Name));
        assert_eq!(of(&[b"joe", b"pass=secret\xff"]), Err(RecordError::NotText("pass".to_owned())));
    }

    proptest! {
        #[test]
        fn no_fields_are_too_much(all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
            if let Ok(record) = UserRecord::from_fields(all.into_iter()) {
                prop_assert!(record.settings.is_sorted_by(|left, right| left.0 <= right.0));
            }
        }
    }
}
