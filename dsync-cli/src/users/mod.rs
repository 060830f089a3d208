//! Users: who is meant, who they are, and becoming them.
//!
//! A process works for one user. [`Account::find`] looks the user up, [`Account::take_on`] gives up all rights but those of
//! the user, for good, and only then is mail looked at. Several users are served by a process for each ([`several`]), so
//! there is one way in which rights are given up, and nobody ever takes them back.
//!
//! * [`options`]: which users the command line means; [`names_file`], [`mask`].
//! * [`lookup`]: asking for a user, of the [`auth`] process of Dovecot or of a [`userdb`] ([`passwd_file`]); [`record`]: the
//!   answer.
//! * [`rights`]: with which rights a user is served, a decision; [`privileges`]: taking them on.
//! * [`account`]: all of it, for one user.
//! * [`children`]: a process for each of several; [`signals`], [`outcome`].

mod account;
mod added_fields;
mod auth;
mod children;
mod error;
mod lookup;
mod mask;
mod names_file;
mod options;
mod outcome;
mod passwd_file;
mod privileges;
mod record;
mod rights;
pub(crate) mod several;
pub(crate) mod signals;
mod userdb;

pub(crate) use account::Account;
pub(crate) use error::UserError;
pub(crate) use options::{Selection, UserOptions};
