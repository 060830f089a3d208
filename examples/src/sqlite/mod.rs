//! A mail store in an SQLite database: how a storage of one's own looks to the library.
//!
//! [`SqliteStore`] is the tree of mailboxes, `SqliteMailbox` one of them. Both do what the traits ask for and nothing else; the
//! conformance suite (`tests/sqlite_conforms.rs`) tells whether they keep their promises. The store keeps no history: without one
//! what was deleted on either side of a mirror comes back, so give a store of yours `history` and `remember`, too, if that matters.

mod mailbox;
mod message;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dsync_core::model::{
    KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxTree, NodeKind, UidValidity,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use mailbox::SqliteMailbox;

/// `version` tells a mailbox that was opened earlier that somebody has changed it since.
const SCHEMA: &str = "
    PRAGMA foreign_keys = ON;
    CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL, last_uid_validity INTEGER NOT NULL);
    INSERT INTO store SELECT hex(randomblob(16)), unixepoch() WHERE NOT EXISTS (SELECT * FROM store);
    CREATE TABLE IF NOT EXISTS mailboxes (
        name BLOB PRIMARY KEY, guid BLOB NOT NULL, uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL,
        highest_modseq INTEGER NOT NULL, first_recent_uid INTEGER NOT NULL, version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS directories (name BLOB PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS subscriptions (name BLOB PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS messages (
        mailbox BLOB NOT NULL REFERENCES mailboxes ON DELETE CASCADE ON UPDATE CASCADE,
        uid INTEGER NOT NULL, guid BLOB NOT NULL, flags INTEGER NOT NULL, keywords TEXT NOT NULL, modseq INTEGER NOT NULL,
        received INTEGER NOT NULL, saved INTEGER, pop3_uidl TEXT, pop3_order INTEGER, bytes BLOB NOT NULL,
        PRIMARY KEY (mailbox, uid));
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

/// A tree of mailboxes in a database.
pub struct SqliteStore {
    path: PathBuf,
    database: Database,
}

/// The connection, which the store shares with its open mailboxes.
#[derive(Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        // What a thread that panicked had begun was rolled back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteStore {
    /// Opens a database, or makes one.
    ///
    /// # Errors
    /// If it can neither be opened nor made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed("open the database"))?;
        connection.execute_batch(SCHEMA).map_err(failed("prepare the database"))?;
        Ok(Self { path: path.to_owned(), database: Database(Arc::new(Mutex::new(connection))) })
    }

    /// Carries out changes, all of them or none.
    fn change<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.database.lock();
        let transaction = connection.transaction().map_err(failed(doing))?;
        let result = work(&transaction)?;
        transaction.commit().map_err(failed(doing))?;
        Ok(result)
    }
}

impl MailStore for SqliteStore {
    fn location(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn id(&mut self) -> Result<String, StoreError> {
        let connection = self.database.lock();
        connection.query_row("SELECT id FROM store", [], |row| row.get(0)).map_err(failed("read the id"))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { directories: true, keeps: KeptFields::ALL, line_ends: true }
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        let connection = self.database.lock();
        let mut tree = MailboxTree::new();
        let names = |table: &str| -> rusqlite::Result<Vec<MailboxName>> {
            let mut statement = connection.prepare(&format!("SELECT name FROM {table}"))?;
            let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
            Ok(names.iter().filter_map(|name| decode(name)).collect())
        };
        let node = |kind| MailboxNode { kind, subscribed: false };
        for name in names("directories").map_err(failed("list directories"))? {
            tree.insert(name, node(NodeKind::Directory));
        }
        for name in names("mailboxes").map_err(failed("list mailboxes"))? {
            let MailboxIdentity { guid, uid_validity } = identity_of(&connection, &name)?;
            tree.insert(name, node(NodeKind::Mailbox { guid, uid_validity }));
        }
        for name in names("subscriptions").map_err(failed("list subscriptions"))? {
            tree.entry(name).or_insert_with(|| node(NodeKind::Absent)).subscribed = true;
        }
        Ok(tree)
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.change("choose an identity", |transaction| {
            let sql = "UPDATE store SET last_uid_validity = last_uid_validity + 1 RETURNING last_uid_validity, randomblob(16)";
            let (validity, guid): (u32, [u8; 16]) = transaction
                .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
                .map_err(failed("choose an identity"))?;
            Ok(MailboxIdentity { guid: MailboxGuid::new(guid), uid_validity: UidValidity::new(validity) })
        })
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        Ok(Box::new(SqliteMailbox::open(self.database.clone(), name)?))
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        if exists(&self.database.lock(), "mailboxes", name)? {
            return Err(StoreError::new(ErrorKind::Exists, format!("there is a mailbox {name} already")));
        }
        let identity = identity.or(self.new_identity()?);
        Ok(Box::new(SqliteMailbox::new(self.database.clone(), name, identity)))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        self.change("delete a mailbox", |transaction| {
            let count = transaction.execute("DELETE FROM mailboxes WHERE name = ?", [encode(name)]);
            match count.map_err(failed("delete a mailbox"))? {
                0 => Err(not_found(name)),
                _ => Ok(()),
            }
        })
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(from)?;
        let names: Vec<_> = self.tree()?.into_iter().filter(|(_, node)| node.kind != NodeKind::Absent).collect();
        let is_taken = |name: &MailboxName| names.iter().any(|(other, _)| other == name || other.is_below(name));
        if !is_taken(from) {
            return Err(not_found(from));
        }
        if to.is_below(from) {
            return Err(StoreError::new(ErrorKind::InvalidName, format!("{from} cannot be moved below itself")));
        }
        if to.is_inbox() || is_taken(to) {
            return Err(StoreError::new(ErrorKind::Exists, format!("{to} exists already")));
        }
        self.change("rename a mailbox", |transaction| {
            for name in names.iter().map(|(name, _)| name) {
                let Some(moved) = name.moved(from, to) else { continue };
                for table in ["mailboxes", "directories"] {
                    let sql = format!("UPDATE {table} SET name = ? WHERE name = ?");
                    let renamed = transaction.execute(&sql, params![encode(&moved), encode(name)]);
                    renamed.map_err(failed("rename a mailbox"))?;
                }
            }
            Ok(())
        })
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.change("make a directory", |transaction| {
            if !exists(transaction, "mailboxes", name)? {
                let made = transaction.execute("INSERT OR IGNORE INTO directories VALUES (?)", [encode(name)]);
                made.map_err(failed("make a directory"))?;
            }
            Ok(())
        })
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let tree = self.tree()?;
        let is_used = |(other, node): (&MailboxName, &MailboxNode)| {
            other == name && node.is_mailbox() || other.is_below(name) && node.kind != NodeKind::Absent
        };
        if tree.iter().any(is_used) {
            return Err(StoreError::new(ErrorKind::Impossible, format!("{name} is not an empty directory")));
        }
        self.change("remove a directory", |transaction| {
            let removed = transaction.execute("DELETE FROM directories WHERE name = ?", [encode(name)]);
            removed.map(drop).map_err(failed("remove a directory"))
        })
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        let sql = match subscribed {
            true => "INSERT OR IGNORE INTO subscriptions VALUES (?)",
            false => "DELETE FROM subscriptions WHERE name = ?",
        };
        self.change("change a subscription", |transaction| {
            transaction.execute(sql, [encode(name)]).map(drop).map_err(failed("change a subscription"))
        })
    }
}

/// A name as it is kept: its parts with a NUL between, which no part can contain.
fn encode(name: &MailboxName) -> Vec<u8> {
    name.join('\0').into_bytes()
}

fn decode(bytes: &[u8]) -> Option<MailboxName> {
    MailboxName::parse(std::str::from_utf8(bytes).ok()?, '\0')
}

fn exists(connection: &Connection, table: &str, name: &MailboxName) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM {table} WHERE name = ?");
    let found = connection.query_row(&sql, [encode(name)], |_| Ok(())).optional();
    found.map(|found| found.is_some()).map_err(failed("look for a name"))
}

fn identity_of(connection: &Connection, name: &MailboxName) -> Result<MailboxIdentity, StoreError> {
    let sql = "SELECT guid, uid_validity FROM mailboxes WHERE name = ?";
    let identity = connection.query_row(sql, [encode(name)], |row| {
        Ok(MailboxIdentity { guid: MailboxGuid::new(row.get(0)?), uid_validity: UidValidity::new(row.get(1)?) })
    });
    identity.optional().map_err(failed("look at a mailbox"))?.ok_or_else(|| not_found(name))
}

fn not_found(name: &MailboxName) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no mailbox {name}"))
}

fn refuse_inbox(name: &MailboxName) -> Result<(), StoreError> {
    if name.is_inbox() {
        return Err(StoreError::new(ErrorKind::Impossible, "INBOX can neither be deleted nor renamed"));
    }
    Ok(())
}

/// What an error of the database means.
fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::NoRoom,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => ErrorKind::Locked,
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        StoreError::with_source(kind, format!("cannot {doing}"), error)
    }
}
