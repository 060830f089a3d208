//! One mailbox in the database.

use dsync_core::model::{
    MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList, MessageRecord, ModSeq, Uid,
};
use dsync_core::store::{ErrorKind, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Database, encode, failed, identity_of, message, not_found};

/// A mailbox as it was when it was opened, or after the last commit.
pub(super) struct SqliteMailbox {
    database: Database,
    name: MailboxName,
    status: MailboxStatus,
    messages: MessageList,
    /// How often the mailbox had been changed; 0 if others cannot see it yet.
    version: i64,
}

impl SqliteMailbox {
    /// One that is not in the database yet.
    pub(super) fn new(database: Database, name: &MailboxName, identity: MailboxIdentity) -> Self {
        let status = MailboxStatus {
            identity,
            uid_next: Uid::FIRST,
            message_count: 0,
            highest_modseq: Some(ModSeq::FIRST),
            first_recent_uid: Some(Uid::FIRST),
        };
        Self { database, name: name.clone(), status, messages: MessageList::default(), version: 0 }
    }

    pub(super) fn open(database: Database, name: &MailboxName) -> Result<Self, StoreError> {
        let (status, messages, version) = view(&database.lock(), name)?;
        Ok(Self { database, name: name.clone(), status, messages, version })
    }

    fn refuse_if_changed(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let sql = "SELECT version FROM mailboxes WHERE name = ?";
        let now = transaction.query_row(sql, [encode(&self.name)], |row| row.get(0)).optional();
        match now.map_err(failed("look at a mailbox"))? {
            None if self.version > 0 => Err(not_found(&self.name)),
            now if now.unwrap_or(0) != self.version => {
                Err(StoreError::new(ErrorKind::Changed, format!("mailbox {} was changed meanwhile", self.name)))
            }
            _ => Ok(()),
        }
    }
}

impl Mailbox for SqliteMailbox {
    fn status(&self) -> &MailboxStatus {
        &self.status
    }

    fn messages(&self) -> &MessageList {
        &self.messages
    }

    fn problems(&self) -> &[String] {
        &[]
    }

    fn body(&mut self, key: MessageKey) -> Result<MessageBody, StoreError> {
        let connection = self.database.lock();
        let sql = "SELECT bytes FROM messages WHERE mailbox = ? AND uid = ?";
        let bytes = connection.query_row(sql, params![encode(&self.name), uid_of(key)?], |row| row.get(0)).optional();
        let bytes: Option<Vec<u8>> = bytes.map_err(failed("read a message"))?;
        bytes.map(MessageBody::from_bytes).ok_or_else(|| no_message(key))
    }

    fn save(&mut self, _: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        let read = |error| StoreError::with_source(ErrorKind::Source, "a message cannot be read", error);
        let bytes = body.read_all().map_err(read)?;
        let connection = self.database.lock();
        connection.execute("INSERT INTO incoming (bytes) VALUES (?)", [bytes]).map_err(failed("save a message"))?;
        Ok(SavedBody(usize::try_from(connection.last_insert_rowid()).unwrap_or_default()))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        let mut connection = self.database.lock();
        let transaction = connection.transaction().map_err(failed("change a mailbox"))?;
        self.refuse_if_changed(&transaction)?;
        let identity = changes.identity.or(self.status.identity);
        let name = encode(&self.name);
        write(&transaction, &name, identity, self.version + 1, changes)?;
        let view = view(&transaction, &self.name)?;
        transaction.commit().map_err(failed("change a mailbox"))?;
        (self.status, self.messages, self.version) = view;
        Ok(())
    }
}

/// Writes changes of a mailbox.
fn write(
    transaction: &Transaction<'_>,
    name: &[u8],
    identity: MailboxIdentity,
    version: i64,
    changes: MailboxChanges,
) -> Result<(), StoreError> {
    let write_failed = failed("change a mailbox");
    let counters = || -> rusqlite::Result<()> {
        transaction.execute("DELETE FROM directories WHERE name = ?", [name])?;
        let sql = "INSERT INTO mailboxes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET guid = ?2, \
                   uid_validity = ?3, uid_next = ?4, highest_modseq = ?5, first_recent_uid = ?6, version = ?7";
        let row = params![
            name,
            identity.guid.map(|guid| *guid.as_bytes()),
            identity.uid_validity.map(|validity| validity.get()),
            changes.uid_next.get(),
            changes.highest_modseq.get().cast_signed(),
            changes.first_recent_uid.get(),
            version,
        ];
        transaction.execute(sql, row).map(drop)
    };
    counters().map_err(&write_failed)?;
    let take = |key: MessageKey| -> Result<Vec<u8>, StoreError> {
        let sql = "DELETE FROM messages WHERE mailbox = ? AND uid = ? RETURNING bytes";
        let bytes = transaction.query_row(sql, params![name, uid_of(key)?], |row| row.get(0)).optional();
        bytes.map_err(&write_failed)?.ok_or_else(|| no_message(key))
    };
    for key in changes.remove {
        take(key)?;
    }
    // All are taken before the first is put back, because they may change places.
    let mut placed = Vec::new();
    for (key, record) in changes.renumber {
        placed.push((take(key)?, record));
    }
    for record in changes.update {
        let key = record.uid.map(MessageKey::Uid).ok_or_else(without_uid)?;
        placed.push((take(key)?, record));
    }
    for (bytes, record) in placed {
        message::insert(transaction, name, &record, &bytes).map_err(&write_failed)?;
    }
    for (SavedBody(id), record) in changes.add.iter() {
        let sql = "DELETE FROM incoming WHERE id = ? RETURNING bytes";
        let bytes: Vec<u8> =
            transaction.query_row(sql, [i64::try_from(id).unwrap_or(-1)], |row| row.get(0)).map_err(&write_failed)?;
        message::insert(transaction, name, &record, &bytes).map_err(&write_failed)?;
    }
    Ok(())
}

/// What is in the database, and how often it was changed.
fn view(connection: &Connection, name: &MailboxName) -> Result<(MailboxStatus, MessageList, i64), StoreError> {
    let identity = identity_of(connection, name)?;
    let read = || -> rusqlite::Result<(MailboxStatus, Vec<MessageRecord>, i64)> {
        let sql = format!("SELECT {} FROM messages WHERE mailbox = ? ORDER BY uid", message::COLUMNS);
        let mut statement = connection.prepare(&sql)?;
        let records = statement.query_map([encode(name)], message::decode)?.collect::<Result<Vec<_>, _>>()?;
        let sql = "SELECT uid_next, highest_modseq, first_recent_uid, version FROM mailboxes WHERE name = ?";
        connection.query_row(sql, [encode(name)], |row| {
            let status = MailboxStatus {
                identity,
                uid_next: Uid::new(row.get(0)?).unwrap_or(Uid::FIRST),
                message_count: u32::try_from(records.len()).unwrap_or(u32::MAX),
                highest_modseq: Some(ModSeq(row.get::<_, i64>(1)?.cast_unsigned())),
                first_recent_uid: Uid::new(row.get(2)?),
            };
            Ok((status, records, row.get(3)?))
        })
    };
    let (status, records, version) = read().map_err(failed("read a mailbox"))?;
    let corrupt = || StoreError::new(ErrorKind::Corrupt, format!("the messages of mailbox {name} are out of order"));
    Ok((status, MessageList::new(records).ok_or_else(corrupt)?, version))
}

fn uid_of(key: MessageKey) -> Result<u32, StoreError> {
    match key {
        MessageKey::Uid(uid) => Ok(uid.get()),
        MessageKey::Unassigned(_) => Err(no_message(key)),
    }
}

fn no_message(key: MessageKey) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no {key}"))
}

fn without_uid() -> StoreError {
    StoreError::new(ErrorKind::Impossible, "a message without a UID cannot be stored")
}
