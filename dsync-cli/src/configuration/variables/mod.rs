//! Variables in settings: `%u`, `%{user}`.
//!
//! Up to Dovecot 2.3 they are written one way ([`before24`]), since 2.4 another ([`since24`]). What they stand for is
//! the same.

mod before24;
mod conditions;
mod digests;
mod since24;

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use super::settings::Dialect;

/// What variables stand for. What is `None` is not known; who asks for it gets an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variables<'a> {
    /// The full name of the user.
    pub(crate) user: &'a str,
    /// The home directory.
    pub(crate) home: Option<&'a str>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Environment variables that settings may refer to.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// What a user database said about the user.
    pub(crate) fields: &'a [(String, String)],
}

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum VariableError {
    #[error("unknown variable {0:?}")]
    Unknown(String),
    #[error("{0:?} cannot be used: its value is not known")]
    NoValue(&'static str),
    #[error("{0:?} is not understood")]
    Syntax(String),
    #[error("{0:?} is not supported")]
    Unsupported(String),
    #[error("it expands to something that is not UTF-8")]
    NotText,
    #[error("it expands to something that is too long or nested too deeply")]
    TooLarge,
}

/// No expanded value is longer, nor is anything on the way to it.
const LONGEST: usize = 64 << 10;
/// No variable is nested more deeply in others.
const DEEPEST: usize = 8;

/// The text with all variables replaced.
pub(crate) fn expand(template: &str, dialect: Dialect, variables: &Variables<'_>) -> Result<String, VariableError> {
    let bytes = match dialect {
        Dialect::Before24 => before24::expand(template, variables, 0),
        Dialect::Since24 => since24::expand(template, variables),
    }?;
    String::from_utf8(bytes).map_err(|_| VariableError::NotText)
}

impl Variables<'_> {
    /// A variable that both forms know by the same name.
    fn common(&self, name: &str) -> Result<Option<Cow<'_, str>>, VariableError> {
        let number = |number: Option<u32>, name| {
            number.map(|number| Cow::Owned(number.to_string())).ok_or(VariableError::NoValue(name))
        };
        Ok(Some(match name {
            "user" | "auth_user" => Cow::Borrowed(self.user),
            "home" => Cow::Borrowed(self.home.ok_or(VariableError::NoValue("home"))?),
            "service" => Cow::Borrowed("doveadm"),
            "hostname" => Cow::Owned(nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()),
            "uid" => number(self.uid, "uid")?,
            "gid" => number(self.gid, "gid")?,
            "pid" => Cow::Owned(std::process::id().to_string()),
            // There is no connection.
            "local_ip" | "remote_ip" | "local_port" | "remote_port" | "session" | "local_name" => Cow::Borrowed(""),
            _ => return Ok(None),
        }))
    }

    fn environment(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// What is before the first `@`.
fn local_part(user: &str) -> &str {
    user.split_once('@').map_or(user, |(name, _)| name)
}

/// What is behind the first `@`.
fn domain(user: &str) -> &str {
    user.split_once('@').map_or("", |(_, domain)| domain)
}

/// Adds to `output`, unless that becomes too long.
fn append(output: &mut Vec<u8>, bytes: &[u8]) -> Result<(), VariableError> {
    if output.len().saturating_add(bytes.len()) > LONGEST {
        return Err(VariableError::TooLarge);
    }
    output.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Expands for one user who has everything.
    pub(super) fn expanded(template: &str, dialect: Dialect) -> Result<String, VariableError> {
        let environment = BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]);
        let fields = [("quota".to_owned(), "5M".to_owned())];
        let variables = Variables {
            user: "Joe.User+tag@Example.COM",
            home: Some("/home/joe"),
            uid: Some(1000),
            gid: Some(100),
            environment: &environment,
            fields: &fields,
        };
        expand(template, dialect, &variables)
    }
}
