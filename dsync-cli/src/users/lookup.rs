//! Who users are: asked of the auth process of a running Dovecot, or of its user databases if none is running.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::added_fields::AddedFields;
use super::auth::{self, AuthError};
use super::error::UserError;
use super::mask;
use super::record::UserRecord;
use super::rights::valid_uids;
use super::userdb::{self, Userdb};
use crate::configuration::{Configuration, Dialect, Settings, UserFields};

/// Where to look users up.
pub(crate) struct Lookup<'a> {
    configuration: &'a Configuration,
    socket: PathBuf,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(configuration: &'a Configuration) -> Self {
        Self { configuration, socket: socket(configuration.settings()) }
    }

    /// One user.
    ///
    /// # Errors
    /// If there is none of this name, or nobody can say.
    pub(crate) fn user(&self, name: &str) -> Result<UserRecord, UserError> {
        let found = match auth::look_up(&self.socket, name, auth::PATIENCE) {
            Err(AuthError::NoServer(server)) => self.user_in_files(name, server),
            answer => answer.map_err(|error| UserError::Lookup {
                name: name.to_owned(),
                socket: self.socket.clone(),
                error,
            }),
        };
        found?.ok_or_else(|| UserError::Unknown(name.to_owned()))
    }

    fn user_in_files(&self, name: &str, server: Errno) -> Result<Option<UserRecord>, UserError> {
        let socket = self.socket.clone();
        let name = self.canonical(name);
        let failed = |error| UserError::LookupInstead { name: name.clone(), socket, server, error };
        userdb::look_up(&self.userdbs(), &name, &|text, known| self.expand(text, &name, known)).map_err(failed)
    }

    /// The names of all users that fit a mask, each once.
    ///
    /// # Errors
    /// If nobody knows them all, or none fits.
    pub(crate) fn names(&self, mask: &str) -> Result<Vec<String>, UserError> {
        let all = match auth::list(&self.socket, mask, auth::PATIENCE) {
            Err(AuthError::NoServer(server)) => {
                userdb::list(&self.userdbs(), valid_uids(self.configuration.settings()))
                    .map_err(|error| UserError::ListInstead { socket: self.socket.clone(), server, error })
            }
            answer => answer.map_err(|error| UserError::List { socket: self.socket.clone(), error }),
        }?;
        // A server takes the mask for a hint.
        let fitting = self.once(all.into_iter().filter(|name| mask::matches(mask, name)));
        if fitting.is_empty() { Err(UserError::NobodyFits(mask.to_owned())) } else { Ok(fitting) }
    }

    /// Each user once, under the first of several names that mean the same user.
    pub(crate) fn once(&self, names: impl Iterator<Item = String>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        names.filter(|name| seen.insert(self.canonical(name))).collect()
    }

    /// The name as user databases are asked for it. One that cannot be brought into that form stays as it is.
    fn canonical(&self, name: &str) -> String {
        let settings = self.configuration.settings();
        let usual = match settings.dialect() {
            Dialect::Before24 => "%Lu",
            Dialect::Since24 => "%{user | lower}",
        };
        let format = settings.text("auth_username_format").unwrap_or(usual);
        self.expand(format, name, &[]).unwrap_or_else(|_| name.to_owned())
    }

    /// The text with its variables replaced. `known` are those that stand for what a user database says.
    fn expand(&self, text: &str, name: &str, known: &[(String, String)]) -> Result<String, String> {
        let user = UserFields {
            name: name.to_owned(),
            home: None,
            usual_home: None,
            uid: None,
            gid: None,
            extra: known.to_vec(),
            looked_up: true,
        };
        let user = self.configuration.for_user(user).map_err(|error| error.to_string())?;
        user.settings().expand(text).map_err(|error| error.to_string())
    }

    fn userdbs(&self) -> Vec<Userdb> {
        let settings = self.configuration.settings();
        // Without any server the system knows who users are.
        if !settings.all().any(|(name, _)| settings.is_written(name)) {
            return vec![Userdb::system()];
        }
        settings.sections("userdb").iter().map(|id| userdb_of(settings, id)).collect()
    }
}

fn userdb_of(settings: &Settings, id: &str) -> Userdb {
    let text = |name: &str| settings.text(&format!("userdb/{id}/{name}")).map(str::to_owned);
    if settings.dialect() == Dialect::Since24 {
        return userdb_since24(settings, id);
    }
    Userdb {
        driver: text("driver").unwrap_or_default(),
        args: text("args").unwrap_or_default(),
        default_fields: text("default_fields").unwrap_or_default(),
        override_fields: text("override_fields").unwrap_or_default(),
        added: AddedFields::default(),
    }
}

/// Settings by which a block says when it is asked, or that another one is to be asked after it. Each stands with what makes no
/// difference.
const ORDERS: [(&str, &str); 4] = [
    ("skip", "never"),
    ("result_success", "return-ok"),
    ("result_failure", "continue"),
    ("result_internalfail", "continue"),
];

/// A block of Dovecot 2.4. `doveconf` and people may write the name of the section before that of a setting.
fn userdb_since24(settings: &Settings, id: &str) -> Userdb {
    let section = format!("userdb/{id}/");
    let text = |names: &[&str]| names.iter().find_map(|name| settings.text(&format!("{section}{name}")));
    let driver = text(&["driver"]).unwrap_or(id).to_owned();
    let differs =
        |(name, usual): &(&str, &str)| text(&[name]).is_some_and(|value| !value.is_empty() && value != *usual);
    if let Some((name, _)) = ORDERS.iter().find(|order| differs(order)) {
        // What that leads to is not for us to guess.
        return Userdb { driver: format!("{driver} with {name}"), ..Userdb::default() };
    }
    let mut fields = Vec::new();
    for (name, value) in settings.all() {
        let inside = name.strip_prefix(&section);
        let field = inside.and_then(|name| name.strip_prefix("fields/").or(name.strip_prefix("userdb_fields/")));
        fields.extend(field.map(|field| (field.to_owned(), value.to_owned())));
    }
    let allows_all = ["allow_all_users", "static_allow_all_users", "userdb_static/allow_all_users"];
    let args = match driver.as_str() {
        "static" if text(&allows_all) == Some("yes") => "allow_all_users=yes",
        "static" => "",
        _ => text(&["passwd_file_path"]).unwrap_or_default(),
    };
    let import_all = text(&["fields_import_all"]) != Some("no");
    Userdb { args: args.to_owned(), added: AddedFields { fields, import_all }, driver, ..Userdb::default() }
}

fn socket(settings: &Settings) -> PathBuf {
    let base = settings.text("base_dir").unwrap_or("/run/dovecot");
    // An absolute path replaces the base.
    Path::new(base).join(settings.text("auth_socket_path").unwrap_or("auth-userdb"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn settings(dialect: Dialect, lines: &[(&str, &str)]) -> Settings {
        let owned = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::new(dialect, owned.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn the_socket_is_in_the_base_directory_unless_it_says_where_it_is() {
        let socket = |lines: &[(&str, &str)]| socket(&settings(Dialect::Before24, lines)).display().to_string();
        assert_eq!(socket(&[]), "/run/dovecot/auth-userdb");
        assert_eq!(socket(&[("base_dir", "/b"), ("auth_socket_path", "auth-x")]), "/b/auth-x");
        assert_eq!(socket(&[("base_dir", "/b"), ("auth_socket_path", "/s/auth")]), "/s/auth");
    }

    #[test]
    fn user_databases_are_written_in_two_ways() {
        let old = [
            ("userdb/0/driver", "passwd-file"),
            ("userdb/0/args", "username_format=%n /etc/users"),
            ("userdb/0/default_fields", "uid=5"),
            ("userdb/0/override_fields", "gid=5"),
        ];
        let expected = Userdb {
            driver: "passwd-file".to_owned(),
            args: "username_format=%n /etc/users".to_owned(),
            default_fields: "uid=5".to_owned(),
            override_fields: "gid=5".to_owned(),
            added: AddedFields::default(),
        };
        assert_eq!(userdb_of(&settings(Dialect::Before24, &old), "0"), expected);
        let new = [("userdb/passwd-file/passwd_file_path", "/etc/users")];
        let expected =
            Userdb { args: "/etc/users".to_owned(), driver: "passwd-file".to_owned(), ..Userdb::default() };
        assert_eq!(userdb_of(&settings(Dialect::Since24, &new), "passwd-file"), expected);
        let with_fields = [
            ("userdb/x/driver", "static"),
            ("userdb/x/fields/home", "/h"),
            ("userdb/x/fields_import_all", "no"),
            ("userdb/x/userdb_static/allow_all_users", "yes"),
        ];
        let expected = Userdb {
            args: "allow_all_users=yes".to_owned(),
            driver: "static".to_owned(),
            added: AddedFields { fields: vec![("home".to_owned(), "/h".to_owned())], import_all: false },
            ..Userdb::default()
        };
        assert_eq!(userdb_of(&settings(Dialect::Since24, &with_fields), "x"), expected);
        let skipped = [("userdb/passwd/skip", "authenticated"), ("userdb/passwd/result_success", "return-ok")];
        assert_eq!(userdb_of(&settings(Dialect::Since24, &skipped), "passwd").driver, "passwd with skip");
    }
}
