//! Locations since Dovecot 2.4: each part is a setting of its own. Here they become the text of one again.

use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::values;

/// The settings that are parts of a location, by the names that these parts have in its text.
const PATHS: [(&str, &str); 5] = [
    ("mail_index_path", "INDEX"),
    ("mail_index_private_path", "INDEXPVT"),
    ("mail_cache_path", "INDEXCACHE"),
    ("mail_control_path", "CONTROL"),
    ("mail_alt_path", "ALT"),
];
const NAMES: [(&str, &str, &str); 6] = [
    ("mailbox_list_layout", "LAYOUT", ""),
    ("mailbox_subscriptions_filename", "SUBSCRIPTIONS", ""),
    ("mailbox_root_directory_name", "MAILBOXDIR", "mailboxes"),
    ("mailbox_list_index_prefix", "LISTINDEX", "dovecot.list.index"),
    ("mailbox_list_visible_escape_char", "BROKENCHAR", ""),
    ("mailbox_list_storage_escape_char", "BROKENCHAR", ""),
];
/// Flags, and what they have to be to be written.
const FLAGS: [(&str, &str, bool); 3] = [
    ("mailbox_list_utf8", "UTF-8", true),
    ("mailbox_list_iter_from_index_dir", "ITERINDEX", true),
    ("mailbox_list_validate_fs_names", "NO-FS-VALIDATION", false),
];

/// Where a format has its mail if nothing is said.
const USUAL_PATHS: [(&str, &str); 4] =
    [("maildir", "~/Maildir"), ("mbox", "~/mail"), ("mdbox", "~/mdbox"), ("sdbox", "~/sdbox")];

/// The text of the location of a namespace, or of that outside of all; `None` if nothing says where it is.
pub(super) fn text(settings: &Expanded<'_>, namespace: Option<&str>) -> Result<Option<String>, ConfigurationError> {
    let parts = Parts { settings, namespace, driver: "" };
    let driver = parts.get("mail_driver")?.filter(|driver| driver != "auto");
    let Some(driver) = driver else {
        return Ok(parts.get("mail_path")?.map(|path| format!("auto:{}", escape(&path))));
    };
    let driver = driver.to_ascii_lowercase();
    let parts = Parts { driver: &driver, ..parts };
    let usual = USUAL_PATHS.iter().find(|(name, _)| *name == driver).map_or("", |(_, path)| path);
    let root = parts.get("mail_path")?.unwrap_or_else(|| usual.to_owned());
    let mut text = format!("{driver}:{}", escape(&root));
    let mut add = |key: &str, value: &str| {
        text.push_str(&format!(":{key}={}", escape(value)));
    };
    if let Some(inbox) = parts.get("mail_inbox_path")?.filter(|inbox| inbox != ".") {
        let inside = !inbox.starts_with(['/', '~']);
        add("INBOX", &if inside { format!("{root}/{inbox}") } else { inbox });
    }
    for (name, key) in PATHS {
        if let Some(value) = parts.get(name)? {
            add(key, &value);
        }
    }
    for (name, key, usual) in NAMES {
        if let Some(value) = parts.get(name)?.filter(|value| value != usual) {
            add(key, &value);
        }
    }
    let usual = matches!(&*driver, "mdbox" | "sdbox").then(|| "dbox-Mails".to_owned());
    let directory = parts.get("mailbox_directory_name")?.or(usual.clone());
    let legacy = parts.flag("mailbox_directory_name_legacy")?.unwrap_or(true);
    match directory {
        Some(directory) if !legacy => add("FULLDIRNAME", &directory),
        Some(directory) if Some(&directory) != usual.as_ref() => add("DIRNAME", &directory),
        _ => {}
    }
    for (name, key, wanted) in FLAGS {
        if parts.flag(name)? == Some(wanted) {
            text.push_str(&format!(":{key}"));
        }
    }
    Ok(Some(text))
}

fn escape(value: &str) -> String {
    value.replace(':', "::")
}

/// Where the parts are looked for: in the namespace first, and last in the section of the format.
#[derive(Clone, Copy)]
struct Parts<'a> {
    settings: &'a Expanded<'a>,
    namespace: Option<&'a str>,
    driver: &'a str,
}

impl Parts<'_> {
    fn name(&self, name: &str) -> Result<Option<(String, String)>, ConfigurationError> {
        let inner = self
            .namespace
            .map(|id| [format!("namespace/{id}/{name}"), format!("namespace/{id}/{}/{name}", self.driver)]);
        let outer = [name.to_owned(), format!("{}/{name}", self.driver)];
        for full in inner.into_iter().flatten().chain(outer) {
            if let Some(value) = self.settings.get(&full)? {
                return Ok(Some((full, value)));
            }
        }
        Ok(None)
    }

    fn get(&self, name: &str) -> Result<Option<String>, ConfigurationError> {
        Ok(self.name(name)?.map(|(_, value)| value))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ConfigurationError> {
        let Some((full, value)) = self.name(name)? else { return Ok(None) };
        let flag = values::boolean(&value);
        flag.map(Some).ok_or_else(|| ConfigurationError::setting(full, format!("{value:?} is neither yes nor no")))
    }
}
