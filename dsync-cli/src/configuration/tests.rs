use proptest::prelude::*;

use super::expanded::Expanded;
use super::*;

fn environment() -> Environment {
    Environment { variables: BTreeMap::new(), program_directories: Vec::new(), configuration_files: Vec::new() }
}

fn anna() -> UserFields {
    UserFields {
        name: "anna".to_owned(),
        home: Some("/home/anna".to_owned()),
        usual_home: None,
        uid: Some(1000),
        gid: Some(1000),
        extra: Vec::new(),
        looked_up: false,
    }
}

fn configuration(lines: &[(&str, &str)], overrides: &[(&str, &str)]) -> Configuration {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let settings = Settings::new(Dialect::Before24, lines.iter().map(owned).collect());
    Configuration::new(settings, Vec::new(), &overrides.iter().map(owned).collect::<Vec<_>>(), &environment())
}

/// The configuration of anna, by the settings of a file.
pub(super) fn configured(lines: &[(&str, &str)]) -> Result<UserConfiguration, ConfigurationError> {
    configuration(lines, &[]).for_user(anna())
}

/// The settings of anna.
pub(super) fn with_settings<T>(lines: &[(&str, &str)], look: impl FnOnce(&Expanded<'_>) -> T) -> T {
    let settings = configuration(lines, &[]).settings;
    look(&Expanded::new(&settings, &anna(), Some("/home/anna"), &BTreeMap::new()))
}

/// The same with settings as they are since 2.4.
pub(super) fn configured_since24(lines: &[(&str, &str)]) -> Result<UserConfiguration, ConfigurationError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let settings = Settings::new(Dialect::Since24, lines.iter().map(owned).collect());
    let user = UserFields { looked_up: true, ..anna() };
    Configuration::new(settings, Vec::new(), &[], &environment()).for_user(user)
}

#[test]
fn the_first_location_comes_from_the_configuration() {
    for (lines, expected) in [
        (&[("mail_location", "maildir:/var/mail/%d/%n:INDEX=/i/%u")][..], "maildir:/var/mail//anna:INDEX=/i/anna"),
        (&[("mail_location", "maildir:~/Maildir")], "maildir:/home/anna/Maildir"),
        (&[("mail_location", "mdbox:%h/m")], "mdbox:/home/anna/m"),
        (
            &[
                ("mail_location", "mdbox:/x"),
                ("namespace", "inbox"),
                ("namespace/inbox/inbox", "yes"),
                ("namespace/inbox/location", "sdbox:~/%u"),
            ],
            "sdbox:/home/anna/anna",
        ),
    ] {
        assert_eq!(configured(lines).unwrap().first_location().unwrap().to_string(), expected);
    }
}

#[test]
fn since_24_the_location_has_many_settings() {
    for (lines, expected) in [
        (&[("mail_driver", "maildir"), ("mail_path", "/m/%{user | upper}")][..], "maildir:/m/ANNA"),
        (
            &[("mail_driver", "maildir"), ("mail_inbox_path", "."), ("maildir/mail_control_path", "~/c")],
            "maildir:/home/anna/Maildir:CONTROL=/home/anna/c",
        ),
        (
            &[("mail_driver", "maildir"), ("mailbox_list_layout", "fs"), ("mailbox_list_utf8", "yes")],
            "maildir:/home/anna/Maildir:LAYOUT=fs:UTF-8",
        ),
        (
            &[("mail_driver", "mbox"), ("mail_inbox_path", "in"), ("mail_index_path", "/a:b")],
            "mbox:/home/anna/mail:INBOX=/home/anna/mail/in:INDEX=/a::b",
        ),
        (
            &[
                ("mail_driver", "mdbox"),
                ("mail_index_path", "~/i"),
                ("mailbox_directory_name_legacy", "no"),
                ("mailbox_root_directory_name", "mailboxes"),
                ("mailbox_list_index_prefix", "dovecot.list.index"),
            ],
            "mdbox:/home/anna/mdbox:INDEX=/home/anna/i:FULLDIRNAME=dbox-Mails",
        ),
        (
            &[
                ("mail_driver", "sdbox"),
                ("namespace", "in"),
                ("namespace/in/inbox", "yes"),
                ("namespace/in/mail_path", "/n"),
                ("mailbox_directory_name_legacy", "yes"),
                ("mailbox_directory_name", "dbox-Mails"),
            ],
            "sdbox:/n",
        ),
    ] {
        assert_eq!(configured_since24(lines).unwrap().first_location().unwrap().to_string(), expected);
    }
    for (name, part) in
        [("mailbox_root_directory_name", "MAILBOXDIR"), ("mailbox_list_visible_escape_char", "BROKENCHAR")]
    {
        let user = configured_since24(&[("mail_driver", "mdbox"), (name, "x")]).unwrap();
        assert!(user.first_location().unwrap_err().to_string().contains(part), "{name}");
    }
}

#[test]
fn what_is_given_wins_in_its_order() {
    let lines = [("mail_location", "maildir:/file/%u"), ("mail_home", "/written"), ("mail_fsync", "never")];
    let mut user = anna();
    user.extra = [("mail", "maildir:/userdb/%u"), ("quota_rule", "*:1M"), ("mail_fsync", "always"), ("uid", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let location = |configuration: &Configuration, user: UserFields| {
        configuration.for_user(user).unwrap().first_location().unwrap().to_string()
    };
    assert_eq!(location(&configuration(&lines, &[]), anna()), "maildir:/file/anna");
    assert_eq!(location(&configuration(&lines, &[]), user.clone()), "maildir:/userdb/%u");
    for name in ["mail", "mail_location"] {
        let given = configuration(&lines, &[(name, "maildir:~/%u")]);
        assert_eq!(location(&given, user.clone()), "maildir:/home/anna/%u");
    }
    let both = configuration(&lines, &[("mail_fsync", "optimized")]).for_user(user).unwrap();
    assert_eq!(both.settings().get("plugin/quota_rule").unwrap().as_deref(), Some("*:1M"));
    assert_eq!(both.settings().get("mail_fsync").unwrap().as_deref(), Some("optimized"));
}

#[test]
fn the_home_is_that_of_who_knows_best() {
    let home = |configuration: &Configuration, user| {
        configuration.for_user(user).unwrap().home().map(|home| home.to_string_lossy().into_owned())
    };
    let written = configuration(&[("mail_home", "/written/%u")], &[]);
    assert_eq!(home(&written, anna()).as_deref(), Some("/home/anna"));
    let nowhere = UserFields { home: None, ..anna() };
    assert_eq!(home(&written, nowhere.clone()).as_deref(), Some("/written/anna"));
    assert_eq!(home(&configuration(&[], &[]), nowhere.clone()), None);
    let usual = UserFields { usual_home: Some("/usual".to_owned()), ..nowhere };
    assert_eq!(home(&configuration(&[], &[]), usual).as_deref(), Some("/usual"));
    let given = configuration(&[("mail_home", "/written")], &[("mail_home", "/given/%u")]);
    assert_eq!(home(&given, anna()).as_deref(), Some("/given/%u"));
    let relative = UserFields { home: Some("here".to_owned()), ..anna() };
    assert!(written.for_user(relative).is_err());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", "..", "../anna", "anna@..", "a\nb", "x/../y"] {
        let user = UserFields { name: name.to_owned(), ..anna() };
        assert!(configuration(&[], &[]).for_user(user).is_err(), "{name:?}");
    }
    let colon = UserFields { name: "a:INDEX=/x".to_owned(), ..anna() };
    let configured = configuration(&[("mail_location", "maildir:/m/%u")], &[]).for_user(colon).unwrap();
    assert!(configured.first_location().unwrap_err().to_string().contains("colon"));
}

#[test]
fn misspelt_settings_are_told() {
    let configuration = configuration(
        &[("mail_fsync", "never")],
        &[
            ("mail_fsnyc", "x"),
            ("mail_fsync", "always"),
            ("plugin/x", "1"),
            ("mail", "maildir:/x"),
            ("mail_plugins+", " a"),
        ],
    );
    assert_eq!(configuration.warnings().len(), 1);
    assert!(configuration.warnings()[0].contains("mail_fsnyc"));
}

#[test]
fn only_some_environment_variables_can_be_seen() {
    let mut around = environment();
    around.variables = ["TZ", "SECRET", "USER"].map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
    let lines = BTreeMap::from([("import_environment".to_owned(), "TZ A=b".to_owned())]);
    let visible = visible_variables(&Settings::new(Dialect::Before24, lines), &around);
    assert_eq!(visible.keys().collect::<Vec<_>>(), ["A", "TZ", "USER"]);
}

proptest! {
    #[test]
    fn any_settings_can_be_looked_at(
        names in prop::collection::vec(r"(mail_location|mail_driver|mail_path|mail_home|namespace|namespace/a/(inbox|prefix|location|separator|type|disabled)|mail_plugins|mbox_write_locks|mail_attachment_dir|mdbox_rotate_size)\+?", 0..6),
        values in prop::collection::vec(r"(a|yes|no|%[uhd]|%\{user\}|~[a/]?|maildir:|auto:|:INDEX=|/nonexistent|.){0,4}", 12),
        since24: bool,
    ) {
        let dialect = if since24 { Dialect::Since24 } else { Dialect::Before24 };
        let mut pairs = names.iter().cloned().zip(values.iter().cloned());
        let written = pairs.by_ref().take(3).collect();
        let overrides: Vec<_> = pairs.collect();
        let configuration = Configuration::new(Settings::new(dialect, written), Vec::new(), &overrides, &environment());
        let extra = names.into_iter().zip(values.into_iter().rev()).collect();
        if let Ok(user) = configuration.for_user(UserFields { extra, looked_up: true, ..anna() }) {
            let _ = (user.namespace(), user.storage(), user.first_location());
        }
    }
}

#[test]
fn the_second_location_is_taken_as_it_is_written() {
    let user = configured(&[]).unwrap();
    let text = |word: &str| user.second_location(word).map(|location| location.to_string());
    assert_eq!(text("maildir:~/%u").unwrap(), "maildir:/home/anna/%u");
    let here = std::env::current_dir().unwrap();
    assert_eq!(text("maildir:copy").unwrap(), format!("maildir:{}/copy", here.display()));
    assert!(text("maildir:~root/x").unwrap().ends_with("/x"));
    assert!(text("maildir:~nobody at all/x").is_err() && text("~/x").is_err());
}
