//! Settings as they are for one user: with every variable replaced.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::ConfigurationError;
use super::settings::{Settings, Value};
use super::user::UserFields;
use super::variables::{self, VariableError, Variables};

/// The settings of a user, and what variables in them stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expanded<'a> {
    settings: &'a Settings,
    variables: Variables<'a>,
}

impl<'a> Expanded<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        user: &'a UserFields,
        home: Option<&'a str>,
        environment: &'a BTreeMap<String, String>,
    ) -> Self {
        let UserFields { name, uid, gid, extra, .. } = user;
        Self { settings, variables: Variables { user: name, home, uid: *uid, gid: *gid, environment, fields: extra } }
    }

    /// The settings as they are written.
    pub(crate) fn raw(&self) -> &'a Settings {
        self.settings
    }

    /// A setting; `None` if nothing is known about it, or it is empty.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, ConfigurationError> {
        let value = match self.settings.get(name) {
            None => None,
            Some(Value::Literal(text)) => Some(text.to_owned()),
            Some(Value::Template(text)) => {
                let expanded = variables::expand(text, self.settings.dialect(), &self.variables);
                let text = text.to_owned();
                Some(expanded.map_err(|error| ConfigurationError::Variable { name: name.to_owned(), text, error })?)
            }
        };
        Ok(value.filter(|text| !text.is_empty()))
    }

    /// A setting that is read by `parse`, and what `problem` says about one that cannot be.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        problem: &str,
    ) -> Result<Option<T>, ConfigurationError> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        match parse(&text) {
            None => Err(ConfigurationError::setting(name, format!("{text:?} {problem}"))),
            parsed => Ok(parsed),
        }
    }

    /// The text of a location. A colon in what variables stand for would turn a part of a name into a parameter.
    pub(crate) fn location(&self, name: &str) -> Result<Option<String>, ConfigurationError> {
        if let Some(Value::Template(text)) = self.settings.get(name) {
            self.refuse_colons(name, text)?;
        }
        let text = self.get(name)?;
        if text.as_ref().is_some_and(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(ConfigurationError::setting(
                name,
                "paths that are not UTF-8 are not supported in a configuration",
            ));
        }
        Ok(text)
    }

    /// A location that is no setting, with its variables replaced. `name` is for messages.
    pub(crate) fn expand_location(&self, name: &str, text: &str) -> Result<String, ConfigurationError> {
        self.refuse_colons(name, text)?;
        self.expand_text(name, text)
    }

    /// Any other text that is no setting, with its variables replaced. `name` is for messages.
    pub(crate) fn expand_text(&self, name: &str, text: &str) -> Result<String, ConfigurationError> {
        let failed = |error| ConfigurationError::Variable { name: name.to_owned(), text: text.to_owned(), error };
        self.expand(text).map_err(failed)
    }

    fn refuse_colons(&self, name: &str, text: &str) -> Result<(), ConfigurationError> {
        let Variables { user, home, .. } = self.variables;
        if text.contains('%') && [Some(user), home].iter().flatten().any(|text| text.contains(':')) {
            let problem =
                format!("variables cannot be used in it for the user {user:?}: there is a colon in the name or home");
            return Err(ConfigurationError::setting(name, problem));
        }
        Ok(())
    }

    /// Any text, with its variables replaced.
    pub(crate) fn expand(&self, text: &str) -> Result<String, VariableError> {
        variables::expand(text, self.settings.dialect(), &self.variables)
    }

    /// The home directory of the user, or of a system user whose name is given.
    pub(crate) fn home_of(&self, name: &str) -> Option<PathBuf> {
        match name {
            "" => self.variables.home.map(PathBuf::from),
            _ => super::user::home_of(name),
        }
    }
}
