//! Names that a layout cannot hold: mapped to others, and back.
//!
//! Two names are kept apart here. The *original* name is what a mailbox is called everywhere; the *stored* name is what it
//! is called in the store that holds it, and what the server shows to the clients of that store. They are the same unless
//! the layout cannot hold the original: a dot in Maildir++, `dbox-Mails` in a dbox, a mailbox below another one in an
//! mbox. Then [`place`] finds the stored name, and a line in a small file ([`entries`]) remembers it by the GUID of
//! the mailbox.
//!
//! * [`rules`]: what a layout can hold, and what a part of a name becomes that it cannot.
//! * [`place`]: the stored name of an original one, among what is there already (pure).
//! * [`entries`]: the file that remembers.
//! * [`view`]: the tree of a store under the original names (pure).
//! * `history`: the same for what happened to the tree (pure).
//! * `renaming`: which steps in the store make up one renaming (pure).
//! * [`NamedStore`]: any store, under the original names.
//!
//! # The rules
//!
//! 1. A name that the layout can hold, and that is free, stays as it is. Names that are about to come
//!    ([`MailStore::expect`](dsync_core::store::MailStore::expect)) are kept free for their owners.
//! 2. Characters that cannot be held become the alternative character (`a.b` in Maildir++: `a_b`). A level that is reserved
//!    as a whole gets it in front (`dbox-Mails`: `_dbox-Mails`), as with Dovecot; `x.lock` in an mbox becomes `x_lock`.
//! 3. A level that is too long is cut; the alternative character and eight digits of its hash follow. If all levels
//!    together are too long, the last ones are joined first.
//! 4. Where a mailbox cannot have others below it (mbox), what is below one is joined to it: `Work/Reports/2020` becomes
//!    `Work_Reports_2020`. A mailbox whose name has become a directory already goes beside it: `A` becomes `A_`.
//! 5. If that name is taken, alternative characters are appended until it is free.
//! 6. What has been decided stays as long as the mailbox has its stored name: an entry counts only while a mailbox of that
//!    stored name with that GUID exists. So a client that renames or deletes the mailbox there undoes the mapping, and a
//!    renaming is then a renaming. An entry without a GUID is for a level or a subscription without a mailbox.
//! 7. If a client makes a mailbox whose name is the original one of another, it is shown with alternative characters
//!    appended. Two names never become one.

mod alternative;
#[doc(hidden)]
pub mod entries;
mod file;
mod history;
mod mailbox;
#[doc(hidden)]
pub mod place;
mod renaming;
#[doc(hidden)]
pub mod rules;
mod store;
#[doc(hidden)]
pub mod view;

pub use alternative::{AlternativeCharacter, InvalidAlternative};
pub use file::{FILE_NAME, NamesFile};
pub use rules::NameRules;
pub use store::NamedStore;
