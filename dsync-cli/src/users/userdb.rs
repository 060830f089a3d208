//! The user databases that a configuration names, read without an auth process.
//!
//! Only those are known that need nothing but files: the system's users (`passwd`), files like `/etc/passwd`
//! (`passwd-file`), and what is the same for all users (`static`) if every name is one. The first that knows a user counts. If one cannot be read, later ones may still know the user, but
//! nobody is unknown then.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Group, Uid, User};
use thiserror::Error;

use super::added_fields::{self, AddedFields};
use super::passwd_file;
use super::record::{RecordError, UserRecord};

/// A `userdb` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Userdb {
    pub(crate) driver: String,
    pub(crate) args: String,
    /// Fields of which others may say something else, `key=value` with blanks between them.
    pub(crate) default_fields: String,
    /// Fields that count whatever others say.
    pub(crate) override_fields: String,
    /// What the block says itself since 2.4.
    pub(crate) added: AddedFields,
}

/// Why a user database cannot be used.
#[derive(Debug, Error)]
pub(crate) enum UserdbError {
    /// There is nothing to ask.
    #[error("the configuration has no userdb that could be read instead; start Dovecot, or add one")]
    None,
    /// We cannot ask it.
    #[error("the userdb {0:?} can only be asked by the auth process of a running Dovecot; start it")]
    Driver(String),
    /// It does not say whether there is such a user.
    #[error(
        "the userdb \"static\" does not tell whether there is such a user; start Dovecot, or, if every name is one, write \
         allow_all_users=yes into its args (static_allow_all_users=yes into the block since 2.4)"
    )]
    Anybody,
    /// The block says something that makes no sense.
    #[error("userdb {driver}: {problem}")]
    Settings {
        /// Which one.
        driver: String,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read.
    #[error("the userdb {} cannot be read: {error}; check the path and its permissions", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What it says cannot be used.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// It does not say who there is.
    #[error("the users of userdb {0:?} cannot be listed; give their names with -F")]
    CannotList(String),
    /// The system cannot say who there is.
    #[error("getent passwd, which lists the users of the system, failed: {0}; give their names with -F")]
    Getent(String),
}

/// Replaces variables for a user, and others that stand for these values.
pub(crate) type Expand<'a> = &'a dyn Fn(&str, &[(String, String)]) -> Result<String, String>;

/// Looks for a user in all of them, in their order.
///
/// # Errors
/// If none knows the user and one of them could not be asked.
pub(crate) fn look_up(all: &[Userdb], name: &str, expand: Expand<'_>) -> Result<Option<UserRecord>, UserdbError> {
    let mut problem = if all.is_empty() { Some(UserdbError::None) } else { None };
    for userdb in all {
        match userdb.look_up(name, expand) {
            Ok(Some(record)) => return Ok(Some(record)),
            Ok(None) => {}
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    problem.map_or(Ok(None), Err)
}

/// The names of all users of all of them. Of the system's users only those with a uid between `first` and `last` (0: no
/// last) count.
///
/// # Errors
/// If the list is not complete.
pub(crate) fn list(all: &[Userdb], (first, last): (u32, u32)) -> Result<Vec<String>, UserdbError> {
    if all.is_empty() {
        return Err(UserdbError::None);
    }
    let mut names = Vec::new();
    for userdb in all {
        match userdb.driver.as_str() {
            "passwd" => {
                let text = system_users()?;
                let is_valid = |uid: u32| uid >= first && (last == 0 || uid <= last);
                let users = passwd_file::entries(&text).filter(|entry| entry.uid.parse().is_ok_and(is_valid));
                names.extend(users.map(|entry| entry.name.to_owned()));
            }
            "passwd-file" => {
                let (path, _) = userdb.file_and_format()?;
                if path.contains('%') {
                    return Err(UserdbError::CannotList(path.to_owned()));
                }
                names.extend(passwd_file::entries(&read(Path::new(path))?).map(|entry| entry.name.to_owned()));
            }
            "prefetch" => {}
            "static" => return Err(UserdbError::CannotList("static".to_owned())),
            other => return Err(UserdbError::Driver(other.to_owned())),
        }
    }
    Ok(names)
}

impl Userdb {
    /// The users of the system, as nothing else is configured.
    pub(crate) fn system() -> Self {
        Self { driver: "passwd".to_owned(), ..Self::default() }
    }

    fn look_up(&self, name: &str, expand: Expand<'_>) -> Result<Option<UserRecord>, UserdbError> {
        match self.driver.as_str() {
            "passwd" => self.look_up_in_system(name, expand),
            "passwd-file" => self.look_up_in_file(name, expand),
            "static" => self.same_for_all(name, expand).map(Some),
            // It knows only users who are just logging in.
            "prefetch" => Ok(None),
            other => Err(UserdbError::Driver(other.to_owned())),
        }
    }

    /// What is the same for all users. A server asks the databases of passwords whether there is such a user, unless it is told not
    /// to.
    fn same_for_all(&self, name: &str, expand: Expand<'_>) -> Result<UserRecord, UserdbError> {
        const ALL: &str = "allow_all_users=yes";
        let words: Vec<_> = self.args.split(' ').filter(|word| !word.is_empty()).collect();
        if !words.contains(&ALL) {
            return Err(UserdbError::Anybody);
        }
        let fields = words.into_iter().filter(|word| *word != ALL);
        let fields: Result<_, _> = fields.map(|word| self.with_numbers(&self.expanded(word, expand)?)).collect();
        self.record(name, fields?, expand)
    }

    fn look_up_in_system(&self, name: &str, expand: Expand<'_>) -> Result<Option<UserRecord>, UserdbError> {
        let failed = |error: nix::errno::Errno| self.refuse(format!("the system cannot look users up: {error}"));
        let Some(user) = User::from_name(name).map_err(failed)? else { return Ok(None) };
        let fields = vec![
            format!("system_groups_user={}", user.name),
            format!("uid={}", user.uid),
            format!("gid={}", user.gid),
            format!("home={}", user.dir.display()),
        ];
        self.record(&user.name, fields, expand).map(Some)
    }

    fn look_up_in_file(&self, name: &str, expand: Expand<'_>) -> Result<Option<UserRecord>, UserdbError> {
        let (path, format) = self.file_and_format()?;
        let wanted = match format {
            Some(format) => self.expanded(format, expand)?,
            None => name.to_owned(),
        };
        let text = read(Path::new(&self.expanded(path, expand)?))?;
        let Some(entry) = passwd_file::entries(&text).find(|entry| entry.name == wanted) else { return Ok(None) };
        let mut fields = Vec::new();
        for (key, value, id) in [("uid", entry.uid, uid_of(entry.uid)), ("gid", entry.gid, gid_of(entry.gid))] {
            match id {
                _ if value.is_empty() => {}
                Some(0) if key == "uid" => return Err(RecordError::Root.into()),
                // Such an entry is none.
                None | Some(0) => return Ok(None),
                Some(id) => fields.push(format!("{key}={id}")),
            }
        }
        if !entry.home.is_empty() {
            fields.push(format!("home={}", entry.home));
        }
        for field in &entry.fields {
            fields.push(self.expanded(field, expand)?);
        }
        self.record(name, fields, expand).map(Some)
    }

    /// Puts a record together from all that says something about the user.
    fn record(&self, name: &str, fields: Vec<String>, expand: Expand<'_>) -> Result<UserRecord, UserdbError> {
        let words = |text: &str| -> Result<Vec<String>, UserdbError> {
            text.split(' ')
                .filter(|word| !word.is_empty())
                .map(|word| self.with_numbers(&self.expanded(word, expand)?))
                .collect()
        };
        let (before, behind) = (words(&self.default_fields)?, words(&self.override_fields)?);
        let found = [before, fields, behind].concat();
        let variables = added_fields::variables(&self.driver, &found);
        let added = self.added.added_to(found, |text| self.expanded_with(text, &variables, expand))?;
        let numbered: Result<Vec<_>, _> = added.iter().map(|field| self.with_numbers(field)).collect();
        let all = [vec![name.to_owned()], numbered?].concat();
        Ok(UserRecord::from_fields(all.into_iter().map(String::into_bytes))?)
    }

    /// A field in which a user or a group may have a name.
    fn with_numbers(&self, field: &str) -> Result<String, UserdbError> {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let id = match key {
            "uid" => uid_of(value),
            "gid" => gid_of(value),
            _ => return Ok(field.to_owned()),
        };
        let id = id.ok_or_else(|| self.refuse(format!("{field}: there is no such user or group")))?;
        Ok(format!("{key}={id}"))
    }

    /// Where the file is, and how names are written in it, if not as they are.
    fn file_and_format(&self) -> Result<(&str, Option<&str>), UserdbError> {
        let mut words = self.args.split(' ').filter(|word| !word.is_empty());
        let path = words.next_back().filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| self.refuse("args has no absolute path of a file".to_owned()))?;
        let format = words.filter_map(|word| word.strip_prefix("username_format=")).next_back();
        Ok((path, format))
    }

    fn expanded(&self, text: &str, expand: Expand<'_>) -> Result<String, UserdbError> {
        self.expanded_with(text, &[], expand)
    }

    fn expanded_with(
        &self,
        text: &str,
        variables: &[(String, String)],
        expand: Expand<'_>,
    ) -> Result<String, UserdbError> {
        expand(text, variables).map_err(|problem| self.refuse(format!("{text:?}: {problem}")))
    }

    fn refuse(&self, problem: String) -> UserdbError {
        UserdbError::Settings { driver: self.driver.clone(), problem }
    }
}

/// The number of a user, who may be given by name.
pub(crate) fn uid_of(text: &str) -> Option<u32> {
    let number = text.parse().ok();
    number.or_else(|| User::from_name(text).ok().flatten().map(|user| user.uid).map(Uid::as_raw))
}

/// The number of a group, which may be given by name.
pub(crate) fn gid_of(text: &str) -> Option<u32> {
    let number = text.parse().ok();
    number.or_else(|| Group::from_name(text).ok().flatten().map(|group| group.gid).map(Gid::as_raw))
}

fn read(path: &Path) -> Result<String, UserdbError> {
    let refuse = |error| UserdbError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refuse)?;
    file.take(passwd_file::LARGEST + 1).read_to_end(&mut bytes).map_err(refuse)?;
    if bytes.len() as u64 > passwd_file::LARGEST {
        return Err(refuse(std::io::Error::other("it is too large")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// All users of the system, wherever it knows them from, in the form of `/etc/passwd`.
fn system_users() -> Result<String, UserdbError> {
    let failed = |error: std::io::Error| UserdbError::Getent(error.to_string());
    let mut command = Command::new("getent");
    let mut child = command.arg("passwd").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(passwd_file::LARGEST).read_to_end(&mut text).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(UserdbError::Getent(status.to_string()));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of users, and the block that names it.
    fn of_file(text: &str) -> (tempfile::NamedTempFile, Userdb) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let args = format!("scheme=plain username_format=%n {}", file.path().display());
        (file, Userdb { driver: "passwd-file".to_owned(), args, ..Userdb::default() })
    }

    /// Replaces `%n` and `%d` for joe@example.org.
    fn expand(text: &str, _: &[(String, String)]) -> Result<String, String> {
        if text.contains("%z") {
            return Err("unknown variable %z".to_owned());
        }
        Ok(text.replace("%n", "joe").replace("%d", "example.org").replace("%u", "joe@example.org"))
    }

    fn find(all: &[Userdb]) -> Result<Option<UserRecord>, UserdbError> {
        look_up(all, "joe@example.org", &expand)
    }

    #[test]
    fn a_user_is_found_in_a_file() {
        let (_file, userdb) = of_file("anna:x:1:1\njoe:x:5000:5001::/home/%n::userdb_mail=maildir:/m/%d other=1\n");
        let userdb = Userdb {
            default_fields: "home=/nowhere  gid=0 quota_rule=*:bytes=%n".to_owned(),
            override_fields: "uid=nobody".to_owned(),
            ..userdb
        };
        let record = find(std::slice::from_ref(&userdb)).unwrap().unwrap();
        let nobody = User::from_name("nobody").unwrap().unwrap();
        assert_eq!(record.name, "joe@example.org");
        assert_eq!((record.uid, record.gid), (Some(nobody.uid), Some(Gid::from_raw(5001))));
        assert_eq!(record.home.as_deref(), Some("/home/%n"), "a home directory is not expanded");
        let settings: Vec<_> = record.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(settings, ["mail=maildir:/m/example.org", "quota_rule=*:bytes=joe"]);
        assert_eq!(list(&[userdb], (0, 0)).unwrap(), ["anna", "joe"]);
    }

    #[test]
    fn a_block_may_say_something_itself() {
        let expand = |text: &str, known: &[(String, String)]| {
            let known = known.iter().map(|(name, value)| (format!("%{{{name}}}"), value));
            Ok(known.fold(text.to_owned(), |text, (name, value)| text.replace(&name, value)))
        };
        let field = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let fields = [("gid:default", "nobody"), ("home", "/h%{passwd_file:home}"), ("uid", "nobody")].map(field);
        let (_file, userdb) = of_file("joe:x:5000:5001::/joe");
        let args = userdb.args.replace("username_format=%n ", "");
        let userdb = Userdb { args, added: AddedFields { fields: fields.to_vec(), import_all: true }, ..userdb };
        let record = look_up(&[userdb], "joe", &expand).unwrap().unwrap();
        let nobody = User::from_name("nobody").unwrap().unwrap();
        assert_eq!((record.uid, record.gid), (Some(nobody.uid), Some(Gid::from_raw(5001))));
        assert_eq!(record.home.as_deref(), Some("/h/joe"));
    }

    #[test]
    fn entries_that_would_be_root_are_refused() {
        for line in ["joe:x:0:1", "joe:x:root:1"] {
            let (_file, userdb) = of_file(line);
            assert!(matches!(find(&[userdb]), Err(UserdbError::Record(RecordError::Root))), "{line}");
        }
        for line in ["joe:x:1:0", "joe:x:nobody:nosuchgroup", "joe:x:nosuchuser:1", "joe:x"] {
            let (_file, userdb) = of_file(line);
            assert_eq!(find(&[userdb]).unwrap(), None, "{line}");
        }
        let (_file, userdb) = of_file("joe:x:::");
        assert_eq!(find(&[userdb]).unwrap().unwrap().uid, None);
    }

    #[test]
    fn users_of_the_system_are_found() {
        let nobody = look_up(&[Userdb::system()], "nobody", &expand).unwrap().unwrap();
        assert_eq!(nobody.system_groups_user.as_deref(), Some("nobody"));
        assert!(nobody.uid.is_some() && nobody.gid.is_some() && nobody.home.is_some());
        assert_eq!(look_up(&[Userdb::system()], "no such user", &expand).unwrap(), None);
        let root = look_up(&[Userdb::system()], "root", &expand);
        assert!(matches!(root, Err(UserdbError::Record(RecordError::Root))));
        let uid = nobody.uid.unwrap().as_raw();
        assert_eq!(list(&[Userdb::system()], (uid, uid)).unwrap(), ["nobody"]);
    }

    #[test]
    fn the_first_that_knows_a_user_counts() {
        let (_first, first) = of_file("anna:x:1:1\n");
        let (_second, second) = of_file("joe:x:2:2\n");
        let (_third, third) = of_file("joe:x:3:3\n");
        let missing = Userdb { args: "/nonexistent/users".to_owned(), ..first.clone() };
        let all = [first.clone(), missing.clone(), second, third];
        assert_eq!(find(&all).unwrap().unwrap().uid, Some(Uid::from_raw(2)));
        assert!(
            matches!(find(&[missing.clone(), first.clone()]), Err(UserdbError::File { .. })),
            "nobody is unknown"
        );
        assert!(list(&[first.clone(), missing], (0, 0)).is_err(), "nor is the list complete");
        assert_eq!(find(&[first]).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(matches!(find(&[]), Err(UserdbError::None)));
        let of = |driver: &str, args: &str| Userdb {
            driver: driver.to_owned(),
            args: args.to_owned(),
            ..Userdb::default()
        };
        assert!(matches!(find(&[of("sql", "/etc/x")]), Err(UserdbError::Driver(_))));
        assert!(matches!(find(&[of("static", "uid=5")]), Err(UserdbError::Anybody)), "it knows everybody");
        let all = of("static", "uid=nobody gid=5 allow_all_users=yes home=/home/%d/%n");
        let record = find(std::slice::from_ref(&all)).unwrap().unwrap();
        assert_eq!((record.gid, record.home.as_deref()), (Some(Gid::from_raw(5)), Some("/home/example.org/joe")));
        assert!(matches!(list(&[all], (0, 0)), Err(UserdbError::CannotList(_))));
        assert!(matches!(find(&[of("passwd-file", "")]), Err(UserdbError::Settings { .. })));
        assert!(matches!(find(&[of("passwd-file", "users")]), Err(UserdbError::Settings { .. })));
        assert!(matches!(find(&[of("passwd-file", "/x/%z")]), Err(UserdbError::Settings { .. })));
        assert!(matches!(list(&[of("passwd-file", "/x/%d")], (0, 0)), Err(UserdbError::CannotList(_))));
        assert!(matches!(list(&[of("ldap", "")], (0, 0)), Err(UserdbError::Driver(_))));
        assert_eq!(find(&[of("prefetch", "")]).unwrap(), None);
    }
}
