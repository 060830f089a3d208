//! The settings that change what is in stores or how they are used: heeded, refused, or warned about.

use std::path::PathBuf;

use dsync_storage::names::AlternativeCharacter;
use dsync_storage::settings::{InvalidMboxLocks, Settings};

use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::settings::Dialect;
use super::values;

/// Plugins that change what is stored in a way that is not known here.
const UNSUPPORTED_PLUGINS: [(&str, &str); 2] = [
    ("mail_crypt", "messages would be stored without the encryption that the server wants"),
    ("mail_filter", "messages would be stored without being changed as the server wants"),
];

/// What the stores of a user have to know, and what is to be said about settings that are not heeded.
pub(super) fn read(settings: &Expanded<'_>) -> Result<(Settings, Vec<String>), ConfigurationError> {
    refuse_unsupported(settings)?;
    let mut storage = Settings::default();
    if let Some(size) = settings.parsed("mdbox_rotate_size", values::size, "is no size; write for example 10M")? {
        storage.rotate_size = size;
    }
    storage.attachments = attachments(settings)?;
    let locks = settings.raw().list("mbox_write_locks");
    if !locks.is_empty() {
        let problem = |error: InvalidMboxLocks| ConfigurationError::setting("mbox_write_locks", error.to_string());
        storage.mbox_locks = locks.join(" ").parse().map_err(problem)?;
    }
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

fn flag(settings: &Expanded<'_>, name: &str) -> Result<bool, ConfigurationError> {
    Ok(settings.parsed(name, values::boolean, "is neither yes nor no")?.unwrap_or(false))
}

fn refuse_unsupported(settings: &Expanded<'_>) -> Result<(), ConfigurationError> {
    let plugins = settings.raw().list("mail_plugins");
    for (plugin, consequence) in UNSUPPORTED_PLUGINS {
        if plugins.iter().any(|name| name == plugin) {
            let problem = format!("the plugin {plugin} is not supported: {consequence}");
            return Err(ConfigurationError::setting("mail_plugins", problem));
        }
    }
    if let Some(method) = settings.get("lock_method")?.filter(|method| method != "fcntl") {
        let problem = format!(
            "{method:?} is not supported: a server that locks in this way would not notice the locks that are taken here; \
             if no server uses the stores meanwhile, use -o lock_method=fcntl"
        );
        return Err(ConfigurationError::setting("lock_method", problem));
    }
    Ok(())
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
    let mut warnings = Vec::new();
    for name in ["mail_nfs_storage", "mail_nfs_index"] {
        if flag(settings, name)? {
            warnings.push(format!(
                "{name}=yes: caches of NFS are not flushed here; make sure that no other host changes the mail of this user \
                 meanwhile"
            ));
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::super::tests::configured;
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
            ("dsync_alt_char", "abc"),
            ("lock_method", "fcntl"),
            ("mail_plugins", "zlib quota"),
        ])
        .unwrap();
        assert_eq!(settings.rotate_size, 2 << 20);
        assert_eq!(settings.attachments, Some(PathBuf::from("/home/anna/attachments/anna")));
        assert_eq!(settings.mbox_locks, "flock".parse().unwrap());
        assert_eq!(settings.alternative_character.get(), 'a');
        assert!(warnings.is_empty());
        assert_eq!(storage(&[]).unwrap(), (Settings::default(), Vec::new()));
    }

    #[test]
    fn what_cannot_be_heeded_is_said() {
        for (name, value) in [
            ("mdbox_rotate_size", "many"),
            ("mbox_write_locks", "paper"),
            ("mbox_md5", "none"),
            ("dsync_alt_char", "/"),
            ("lock_method", "flock"),
            ("mail_plugins", "quota mail_crypt"),
            ("mail_nfs_index", "perhaps"),
        ] {
            let error = storage(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{name}: {error}");
        }
        let crypt = [("mail_attachment_dir", "/a"), ("mail_attachment_fs", "crypt:set_prefix=x:posix")];
        assert!(storage(&crypt).unwrap_err().contains("mail_attachment_fs"));
        assert_eq!(storage(&[("mail_nfs_storage", "yes")]).unwrap().1.len(), 1);
    }
}
