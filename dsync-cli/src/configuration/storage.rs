//! The settings that change what is in stores or how they are used: heeded, refused, or warned about.

use std::path::PathBuf;

use dsync_storage::location::Driver;
use dsync_storage::names::AlternativeCharacter;
use dsync_storage::settings::{Compression, CompressionMethod, InvalidCompression, InvalidMboxLocks, Settings};

use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::settings::{Dialect, Value};
use super::values;

/// Plugins that change what is stored in a way that is not known here.
const UNSUPPORTED_PLUGINS: [(&str, &str); 2] = [
    ("mail_crypt", "messages would be stored without the encryption that the server wants"),
    ("mail_filter", "messages would be stored without being changed as the server wants"),
];

/// What the stores of a user have to know, and what is to be said about settings that are not heeded.
pub(super) fn read(settings: &Expanded<'_>) -> Result<(Settings, Vec<String>), ConfigurationError> {
    check_values(settings)?;
    refuse_unsupported(settings)?;
    let mut storage = Settings::default();
    if let Some(size) = settings.parsed("mdbox_rotate_size", values::size, NO_SIZE)? {
        storage.rotate_size = size;
    }
    storage.attachments = attachments(settings)?;
    storage.compression = compression(settings)?;
    let locks = settings.raw().list("mbox_write_locks");
    if !locks.is_empty() {
        let problem = |error: InvalidMboxLocks| ConfigurationError::setting("mbox_write_locks", error.to_string());
        storage.mbox_locks = locks.join(" ").parse().map_err(problem)?;
    }
    if let Some(wait) = settings.parsed("mbox_lock_timeout", values::time, NO_TIME)? {
        storage.mbox_locks.wait = wait;
    }
    if let Some(stale_after) = settings.parsed("mbox_dotlock_change_timeout", values::time, NO_TIME)? {
        storage.mbox_locks.stale_after = stale_after;
    }
    // Whose group that is was put aside when the rights of the user were taken on.
    storage.mbox_locks.with_saved_group = settings.get("mail_privileged_group")?.is_some();
    if let Some(text) = settings.get("mbox_md5")? {
        storage.mbox_digest =
            text.parse().map_err(|error| ConfigurationError::setting("mbox_md5", format!("{error}")))?;
    }
    if let Some(text) = settings.get("dsync_alt_char")? {
        let character = text.chars().next().map_or(Ok(AlternativeCharacter::default()), AlternativeCharacter::new);
        storage.alternative_character =
            character.map_err(|error| ConfigurationError::setting("dsync_alt_char", error.to_string()))?;
    }
    Ok((storage, warnings(settings)?))
}

const NO_SIZE: &str = "is no size; write for example 10M";
const NO_TIME: &str = "is no time; write for example 5 mins";

/// What a setting can be.
enum Kind {
    Flag,
    Time,
    Size,
    Choice(&'static [&'static str]),
    NotEmpty,
}

/// Settings about which there is nothing to do: what they ask for is done anyway, or changes only how fast a server works. But
/// whoever writes nonsense may have meant something else.
const OTHERS: [(&str, Kind); 22] = [
    ("mail_fsync", Kind::Choice(&["optimized", "never", "always"])),
    ("lock_method", Kind::Choice(&["fcntl", "flock", "dotlock"])),
    ("mmap_disable", Kind::Flag),
    ("dotlock_use_excl", Kind::Flag),
    ("mail_nfs_storage", Kind::Flag),
    ("mail_nfs_index", Kind::Flag),
    ("mail_save_crlf", Kind::Flag),
    ("mailbox_list_index", Kind::Flag),
    ("mail_max_lock_timeout", Kind::Time),
    ("mail_attachment_min_size", Kind::Size),
    ("mail_ext_attachment_min_size", Kind::Size),
    ("maildir_stat_dirs", Kind::Flag),
    ("maildir_copy_with_hardlinks", Kind::Flag),
    ("maildir_very_dirty_syncs", Kind::Flag),
    ("maildir_broken_filename_sizes", Kind::Flag),
    ("maildir_empty_new", Kind::Flag),
    ("mbox_dirty_syncs", Kind::Flag),
    ("mbox_lazy_writes", Kind::Flag),
    ("mdbox_rotate_interval", Kind::Time),
    ("mdbox_preallocate_space", Kind::Flag),
    ("dsync_features", Kind::Choice(&["empty-header-workaround", "no-header-hashes"])),
    ("dsync_hashed_headers", Kind::NotEmpty),
];

/// Whether that is one of the settings whose values are only looked at.
pub(super) fn is_checked(name: &str) -> bool {
    OTHERS.iter().any(|(other, _)| *other == name)
}

fn check_values(settings: &Expanded<'_>) -> Result<(), ConfigurationError> {
    for (name, kind) in OTHERS {
        let Some(text) = settings.raw().get(name).map(Value::text) else { continue };
        let problem = match kind {
            Kind::Flag if values::boolean(text).is_none() => "is neither yes nor no".to_owned(),
            Kind::Time if values::time(text).is_none() => NO_TIME.to_owned(),
            Kind::Size if values::size(text).is_none() => NO_SIZE.to_owned(),
            Kind::Choice(words) if !text.split_ascii_whitespace().all(|word| words.contains(&word)) => {
                format!("is none of {}", words.join(", "))
            }
            Kind::NotEmpty if text.is_empty() => "must not be empty".to_owned(),
            _ => continue,
        };
        return Err(ConfigurationError::setting(name, format!("{text:?} {problem}")));
    }
    Ok(())
}

fn refuse_unsupported(settings: &Expanded<'_>) -> Result<(), ConfigurationError> {
    let plugins = settings.raw().list("mail_plugins");
    for (plugin, consequence) in UNSUPPORTED_PLUGINS {
        if plugins.iter().any(|name| name == plugin) {
            let problem = format!("the plugin {plugin} is not supported: {consequence}");
            return Err(ConfigurationError::setting("mail_plugins", problem));
        }
    }
    // The other two are both taken, whatever the setting is.
    if settings.raw().text("lock_method") == Some("dotlock") {
        let problem = "dotlock is not supported: a server that locks in this way would not notice the locks that are taken \
                       here; if no server uses the stores meanwhile, use -o lock_method=fcntl";
        return Err(ConfigurationError::setting("lock_method", problem));
    }
    Ok(())
}

/// How a server would compress new messages. Its plugin has to be loaded, else it could not read the result either.
fn compression(settings: &Expanded<'_>) -> Result<Option<Compression>, ConfigurationError> {
    let plugins = settings.raw().list("mail_plugins");
    if !plugins.iter().any(|name| matches!(&**name, "zlib" | "mail_compress")) {
        return Ok(None);
    }
    let name = match settings.raw().dialect() {
        Dialect::Before24 => "plugin/zlib_save",
        Dialect::Since24 => "mail_compress_write_method",
    };
    let Some(text) = settings.get(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = |name: &str, error: InvalidCompression| ConfigurationError::setting(name, error.to_string());
    let method: CompressionMethod = text.parse().map_err(|error| invalid(name, error))?;
    let level_name = match settings.raw().dialect() {
        Dialect::Before24 => "plugin/zlib_save_level".to_owned(),
        // What its levels are about.
        Dialect::Since24 if method == CompressionMethod::Bzip2 => "compress_bz2_block_size_100k".to_owned(),
        Dialect::Since24 => format!("compress_{method}_level"),
    };
    let level = settings.get(&level_name)?;
    Compression::new(method, level.as_deref()).map(Some).map_err(|error| invalid(&level_name, error))
}

/// Where attachments are. They can be read if they are plain files.
fn attachments(settings: &Expanded<'_>) -> Result<Option<PathBuf>, ConfigurationError> {
    let (name, file_system) = match settings.raw().dialect() {
        Dialect::Before24 => ("mail_attachment_dir", "mail_attachment_fs"),
        Dialect::Since24 => ("mail_ext_attachment_path", "mail_ext_attachment/fs"),
    };
    let Some(text) = settings.get(name)? else { return Ok(None) };
    let words = settings.raw().list(file_system);
    if let Some(word) = words.iter().find(|word| !matches!(&***word, "posix" | "sis")) {
        let problem =
            format!("{word:?} is not supported: only attachments in plain files (posix, sis posix) can be read");
        return Err(ConfigurationError::setting(file_system, problem));
    }
    let Some(rest) = text.strip_prefix('~') else { return Ok(Some(PathBuf::from(text))) };
    let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
    let path = settings.home_of(user).map(|home| home.join(below));
    let problem = || ConfigurationError::setting(name, format!("{text:?} needs a home directory, and none is known"));
    path.map(Some).ok_or_else(problem)
}

fn warnings(settings: &Expanded<'_>) -> Result<Vec<String>, ConfigurationError> {
    let raw = settings.raw();
    let mut warnings = Vec::new();
    for name in ["mail_nfs_storage", "mail_nfs_index"] {
        if raw.get(name).is_some_and(|value| values::boolean(value.text()) == Some(true)) {
            warnings.push(format!(
                "{name}=yes: caches of NFS are not flushed here; make sure that no other host changes the mail of this user \
                 meanwhile"
            ));
        }
    }
    // Others are computed from what is there.
    if settings.get("plugin/quota")?.is_some_and(|quota| quota.starts_with("maildir:") || quota.starts_with("dict:"))
    {
        warnings.push(
            "plugin/quota: what is stored here is not counted; let \"doveadm quota recalc\" do that".to_owned(),
        );
    }
    Ok(warnings)
}

/// What has to be told if mail goes from one format to the other: POP3 clients know messages by what `pop3_uidl_format` is
/// made of, and download all of them again if that is something else there.
pub(super) fn about_conversion(settings: &Expanded<'_>, from: Driver, to: Driver) -> Option<String> {
    if from == to {
        return None;
    }
    let name = "pop3_uidl_format";
    let format = settings.raw().text(name)?;
    let parts: &[&str] = match settings.raw().dialect() {
        Dialect::Before24 => &["%f", "%{filename}", "%m", "%{md5}"],
        Dialect::Since24 => &["filename", "md5"],
    };
    let part = parts.iter().find(|part| format.contains(**part))?;
    Some(format!(
        "{name}: {part} is something else in another format, so POP3 clients may download again what has no UIDL of its own"
    ))
}

#[cfg(test)]
mod tests {
    use dsync_storage::settings::{DotlockUse, MboxLocks};

    use super::super::tests::{configured, configured_since24};
    use super::*;

    fn storage(lines: &[(&str, &str)]) -> Result<(Settings, Vec<String>), String> {
        configured(lines).and_then(|user| user.storage()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_stores_heed_reaches_them() {
        let (settings, warnings) = storage(&[
            ("mdbox_rotate_size", "2 M"),
            ("mail_attachment_dir", "~/attachments/%n"),
            ("mail_attachment_fs", "sis posix"),
            ("mbox_write_locks", "flock"),
            ("mbox_lock_timeout", "7 secs"),
            ("mbox_dotlock_change_timeout", "3 mins"),
            ("dsync_alt_char", "abc"),
            ("lock_method", "flock"),
            ("mail_plugins", "zlib quota"),
            ("plugin/zlib_save", "bz2"),
            ("plugin/zlib_save_level", "9"),
        ])
        .unwrap();
        assert_eq!(settings.rotate_size, 2 << 20);
        assert_eq!(settings.attachments, Some(PathBuf::from("/home/anna/attachments/anna")));
        let locks = MboxLocks { dotlock: DotlockUse::Never, fcntl: false, flock: true, ..settings.mbox_locks };
        assert_eq!(settings.mbox_locks, locks);
        assert_eq!((locks.wait.as_secs(), locks.stale_after.as_secs()), (7, 180));
        assert_eq!(settings.alternative_character.get(), 'a');
        assert!(warnings.is_empty());
        assert_eq!(settings.compression, Some(Compression::new(CompressionMethod::Bzip2, Some("9")).unwrap()));
        for (method, level) in [("gz", "compress_gz_level"), ("bz2", "compress_bz2_block_size_100k")] {
            let lines = [("mail_plugins/mail_compress", "yes"), ("mail_compress_write_method", method), (level, "2")];
            let compression = configured_since24(&lines).and_then(|user| user.storage()).unwrap().0.compression;
            assert_eq!(compression, Some(Compression::new(method.parse().unwrap(), Some("2")).unwrap()));
        }
        // Without the plugin no server reads such messages.
        assert_eq!(storage(&[("plugin/zlib_save", "gz")]).unwrap().0.compression, None);
        assert_eq!(storage(&[]).unwrap(), (Settings::default(), Vec::new()));
    }

    #[test]
    fn what_cannot_be_heeded_is_said() {
        for (name, value) in [
            ("mdbox_rotate_size", "many"),
            ("mbox_write_locks", "paper"),
            ("mbox_md5", "none"),
            ("dsync_alt_char", "/"),
            ("lock_method", "dotlock"),
            ("mail_plugins", "quota mail_crypt"),
            ("mail_nfs_index", "perhaps"),
            ("mail_fsync", "sometimes"),
            ("mbox_lock_timeout", "5"),
            ("mdbox_rotate_interval", "daily"),
            ("mail_attachment_min_size", ""),
            ("dsync_features", "magic"),
            ("dsync_hashed_headers", ""),
        ] {
            let error = storage(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{name}: {error}");
        }
        let crypt = [("mail_attachment_dir", "/a"), ("mail_attachment_fs", "crypt:set_prefix=x:posix")];
        assert!(storage(&crypt).unwrap_err().contains("mail_attachment_fs"));
        for lines in [&[("mail_nfs_storage", "yes")][..], &[("plugin/quota", "maildir:User quota")]] {
            assert_eq!(storage(lines).unwrap().1.len(), 1);
        }
        for (method, level, name) in [("deflate", "6", "plugin/zlib_save"), ("gz", "ten", "plugin/zlib_save_level")] {
            let lines = [("mail_plugins", "zlib"), ("plugin/zlib_save", method), ("plugin/zlib_save_level", level)];
            let error = storage(&lines).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
        let format = [("pop3_uidl_format", "%f")];
        let user = configured(&format).unwrap();
        assert!(about_conversion(&user.settings(), Driver::Maildir, Driver::Mdbox).is_some());
        assert!(about_conversion(&user.settings(), Driver::Maildir, Driver::Maildir).is_none());
    }
}
