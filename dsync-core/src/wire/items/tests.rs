//! What is written is read as the same, for every item.

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::model::{Keyword, MailboxGuid, MailboxName, MessageGuid, NameHash, Uid};
use crate::wire::{Decoder, Encoder, Incoming, Item};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\0\x01\x02\t\n\r.a-".to_vec())], 0..8)
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    bytes().prop_filter("not empty", |bytes| !bytes.is_empty())
}

fn mailbox_guid() -> impl Strategy<Value = MailboxGuid> {
    any::<[u8; 16]>().prop_filter_map("not zero", MailboxGuid::new)
}

fn message_guid() -> impl Strategy<Value = Option<MessageGuid>> {
    option::of(bytes().prop_filter_map("a GUID", |bytes| MessageGuid::new(&bytes)))
}

fn uid() -> impl Strategy<Value = Uid> {
    any::<u32>().prop_filter_map("not zero", Uid::new)
}

/// A list that is not just one empty element, which looks like an empty list.
fn list() -> impl Strategy<Value = Option<Vec<Vec<u8>>>> {
    option::of(prop::collection::vec(bytes(), 0..4)).prop_filter("is unambiguous", |list| {
        list.as_ref().is_none_or(|list| list.len() != 1 || !list.concat().is_empty())
    })
}

/// What a row means, with the columns that are usual.
fn read(row: &[u8]) -> Item {
    let mut stream = Vec::new();
    Encoder::default().greeting(&mut stream);
    stream.extend(row);
    let (mut decoder, mut input) = (Decoder::new(), stream.as_slice());
    assert!(matches!(decoder.next(&mut input), Ok(Some(Incoming::Greeting(_)))));
    match decoder.next(&mut input) {
        Ok(Some(Incoming::Item(item))) => item,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_of_one_element_that_is_nothing_is_an_empty_list() {
    // It is written with an escape that is cut off. Found by the fuzz target wire_tree.
    let row = b"H\x08\xd9\t\x84\t\x01\x02\t\x08\0\xd9z\x84\t\x01\x02\t\x01\x02\t\x01\x02\x01\x02\t\x01\x01\t\n";
    let item = read(row);
    let mut written = Vec::new();
    Encoder::default().item(&item, &mut written);
    assert_eq!(read(&written), item);
}

fn handshake() -> impl Strategy<Value = Item> {
    let prefix = bytes().prop_map(|bytes| bytes.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<u8>>());
    let prefixes = option::of(prop::collection::vec(prefix, 1..3));
    let types = option::of(prop::sample::select(vec![SyncType::Full, SyncType::Changed, SyncType::State]));
    let texts = (option::of(bytes()), option::of(bytes()), option::of(bytes()), option::of(bytes()));
    let numbers = option::of(any::<u64>());
    (some_bytes(), prefixes, types, texts, list(), list(), any::<[bool; 16]>(), option::of(any::<u32>()), numbers)
        .prop_map(|(hostname, prefixes, sync_type, texts, exclude, hashed, flags, small, number)| {
            Item::Handshake(Box::new(Handshake {
                hostname,
                namespace_prefixes: prefixes,
                mailbox: texts.0,
                mailbox_guid: texts.1,
                sync_type,
                debug: flags[0],
                visible_namespaces: flags[1],
                exclude_mailboxes: exclude,
                send_mail_requests: flags[2],
                backup_send: flags[3],
                backup_recv: flags[4],
                lock_timeout: small,
                no_mail_sync: flags[5],
                no_backup_overwrite: flags[6],
                purge_remote: flags[7],
                no_notify: flags[8],
                since: number,
                max_size: number,
                flags: texts.2,
                until: number,
                virtual_all_mailbox: texts.3.clone(),
                empty_header_workaround: flags[9],
                commit_interval: small,
                hashed_headers: hashed,
                alternative_character: texts.3,
                waits_for_deletions: flags[10],
                relative_to: Some(b".INBOX.".to_vec()),
                allow_empty_source: flags[11],
                store: Some(b"mdbox:~/mdbox".to_vec()),
                hashes_contents: flags[12],
                takes_early_offers: flags[13],
                commits_in_turn: flags[14],
                takes_partial_mailboxes: flags[15],
            }))
        })
}

fn mailbox_state() -> impl Strategy<Value = Item> {
    (mailbox_guid(), any::<[u32; 3]>(), any::<[u64; 2]>(), any::<[bool; 3]>()).prop_map(
        |(guid, small, large, flags)| {
            Item::MailboxState(MailboxState {
                guid,
                uid_validity: small[0],
                common_uid: small[1],
                common_modseq: large[0],
                common_private_modseq: large[1],
                message_count: small[2],
                changes_during_sync: flags[0],
                counters: flags[0].then_some((small[0], small[1], large[0])),
                held: flags[1],
                to_be_repeated: flags[2],
            })
        },
    )
}

fn tree_node() -> impl Strategy<Value = Item> {
    let name =
        prop::collection::vec("[a-zä\t\n\u{1}\u{2}./%]{1,4}", 1..4).prop_filter_map("a name", MailboxName::new);
    let existence = prop::sample::select(vec![Existence::Absent, Existence::Present, Existence::Deleted]);
    let times = any::<[u64; 2]>();
    (name, existence, option::of(mailbox_guid()), any::<[u32; 2]>(), times, any::<bool>()).prop_map(
        |(name, existence, guid, numbers, times, subscribed)| {
            Item::TreeNode(TreeNode {
                name,
                existence,
                guid,
                uid_validity: numbers[0],
                uid_next: numbers[1],
                renamed: times[0],
                subscribed,
                subscription_changed: times[1],
            })
        },
    )
}

fn deletions() -> impl Strategy<Value = Item> {
    let hashes = || prop::collection::vec((any::<[u8; 16]>().prop_map(NameHash), any::<u64>()), 0..4);
    let mailboxes = prop::collection::vec((mailbox_guid(), any::<u64>()), 0..4);
    (any::<char>(), option::of(bytes()), mailboxes, hashes(), hashes()).prop_map(
        |(separator, escape_character, mailboxes, directories, unsubscribed)| {
            Item::Deletions(Deletions { separator, escape_character, mailboxes, directories, unsubscribed })
        },
    )
}

fn mailbox() -> impl Strategy<Value = Item> {
    let decision = prop::sample::select(vec![CacheDecision::No, CacheDecision::Temporary, CacheDecision::Yes]);
    let field = (bytes(), decision, any::<bool>(), any::<u64>())
        .prop_map(|(name, decision, forced, last_used)| CacheField { name, decision, forced, last_used });
    let fields = prop::collection::vec(field, 0..3);
    (mailbox_guid(), any::<[u32; 4]>(), any::<[u64; 2]>(), any::<[bool; 7]>(), fields).prop_map(
        |(guid, small, large, flags, cache_fields)| {
            Item::Mailbox(Box::new(MailboxInfo {
                guid,
                uid_validity: small[0],
                uid_next: small[1],
                message_count: small[2],
                first_recent_uid: small[3],
                highest_modseq: large[0],
                highest_private_modseq: large[1],
                lost: flags[0],
                ignore: flags[1],
                cache_fields,
                have_guids: flags[2],
                have_save_guids: flags[3],
                have_only_guid128: flags[4],
                partial: flags[5],
                common_below: flags[6].then_some(1),
            }))
        },
    )
}

fn attribute() -> impl Strategy<Value = Item> {
    (any::<[bool; 3]>(), bytes(), option::of(bytes()), any::<[u64; 2]>()).prop_map(|(flags, key, value, numbers)| {
        Item::Attribute(Attribute {
            shared: flags[0],
            key,
            value,
            stream: flags[1],
            deleted: flags[2],
            changed: numbers[0],
            modseq: numbers[1],
        })
    })
}

fn change() -> impl Strategy<Value = Item> {
    let kind = prop_oneof![
        message_guid().prop_map(ChangeKind::Save),
        option::of(any::<[u8; 16]>()).prop_map(ChangeKind::Expunge),
        message_guid().prop_map(ChangeKind::Flags),
    ];
    let hash = option::of(prop_oneof![Just(HeaderHash::Needless), any::<[u8; 16]>().prop_map(HeaderHash::Is)]);
    let keyword = "[ -~ä]{1,4}".prop_filter_map("a keyword", |name| Keyword::new(&name));
    let keyword_kind = prop::sample::select(vec![
        KeywordChangeKind::Added,
        KeywordChangeKind::Removed,
        KeywordChangeKind::Present,
        KeywordChangeKind::AddedAndPresent,
    ]);
    let keywords = prop::collection::vec(
        (keyword_kind, keyword).prop_map(|(kind, keyword)| KeywordChange { kind, keyword }),
        0..4,
    );
    let optional = (option::of(any::<u64>()), option::of(any::<u64>()));
    (kind, uid(), hash, any::<[u64; 2]>(), any::<[u8; 3]>(), any::<bool>(), keywords, optional).prop_map(
        |(kind, uid, header_hash, modseqs, flags, keywords_reset, keywords, (received, virtual_size))| {
            Item::Change(Change {
                kind,
                uid,
                header_hash,
                modseq: modseqs[0],
                private_modseq: modseqs[1],
                added: flags[0],
                removed: flags[1],
                flags: flags[2],
                keywords_reset,
                keywords,
                received,
                virtual_size,
            })
        },
    )
}

fn mails() -> impl Strategy<Value = Item> {
    let request =
        (message_guid(), option::of(uid())).prop_map(|(guid, uid)| Item::MailRequest(MailRequest { guid, uid }));
    let mail = (message_guid(), option::of(uid()), option::of(bytes()), any::<u32>(), any::<u64>(), any::<bool>());
    let mail = (mail.prop_filter("is one", |mail| mail.0.is_some() || mail.1.is_some()), option::of(any::<u64>()))
        .prop_map(|((guid, uid, pop3_uidl, pop3_order, received, stream), saved)| {
            Item::Mail(Mail { guid, uid, pop3_uidl, pop3_order, received, saved, stream })
        });
    prop_oneof![request, mail]
}

fn finish() -> impl Strategy<Value = Item> {
    let finish = (option::of(some_bytes()), option::of(any::<u32>()), any::<bool>());
    let finish = finish.prop_map(|(error, mail_error, require_full_resync)| {
        Item::Finish(Finish { error, mail_error, require_full_resync })
    });
    prop_oneof![finish, Just(Item::Done)]
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        handshake(),
        mailbox_state(),
        tree_node(),
        deletions(),
        mailbox(),
        attribute(),
        change(),
        mails(),
        finish()
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn every_item_comes_back(item in item()) {
        let (encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.greeting(&mut out);
        encoder.item(&item, &mut out);
        let (mut decoder, mut input) = (Decoder::new(), out.as_slice());
        prop_assert_eq!(decoder.next(&mut input), Ok(Some(Incoming::Greeting(crate::wire::MINOR_VERSION))));
        prop_assert_eq!(decoder.next(&mut input), Ok(Some(Incoming::Item(item))));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn any_row_is_read_or_refused(character in prop::sample::select(b"HSNDBACRMFX".to_vec()), mut row in bytes()) {
        row.retain(|byte| *byte != b'\n');
        let (encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.greeting(&mut out);
        out.push(character);
        out.extend(&row);
        out.push(b'\n');
        let (mut decoder, mut input) = (Decoder::new(), out.as_slice());
        prop_assert!(decoder.next(&mut input).is_ok());
        if let Ok(Some(Incoming::Item(item))) = decoder.next(&mut input) {
            let mut again = Vec::new();
            encoder.greeting(&mut again);
            encoder.item(&item, &mut again);
            let (mut decoder, mut input) = (Decoder::new(), again.as_slice());
            prop_assert!(decoder.next(&mut input).is_ok());
            prop_assert_eq!(decoder.next(&mut input), Ok(Some(Incoming::Item(item))));
        }
    }
}
