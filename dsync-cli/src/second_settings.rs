//! Settings of the second store alone (`-p`), on this machine.
//!
//! Those that say where something is become parameters of LOCATION2, as a location had them before Dovecot 2.4; all others override
//! the settings that both stores have.

use crate::configuration::UserConfiguration;

/// Settings of Dovecot 2.4 that are parameters of a location.
const PARAMETERS: [(&str, &str); 6] = [
    ("mail_index_path", "INDEX"),
    ("mail_control_path", "CONTROL"),
    ("mail_alt_path", "ALT"),
    ("mail_inbox_path", "INBOX"),
    ("mailbox_list_layout", "LAYOUT"),
    ("mailbox_subscriptions_filename", "SUBSCRIPTIONS"),
];

/// The second location with the parameters that were given apart from it.
pub(crate) fn with_parameters(word: &str, given: &[(String, String)]) -> String {
    let mut word = word.to_owned();
    for (name, value) in given {
        if let Some((_, key)) = PARAMETERS.iter().find(|(setting, _)| setting == name) {
            word.push_str(&format!(":{key}={}", value.replace(':', "::")));
        }
    }
    word
}

/// The configuration as it is for the second store.
pub(crate) fn configuration(user: &UserConfiguration, given: &[(String, String)]) -> UserConfiguration {
    let is_setting = |(name, _): &&(String, String)| PARAMETERS.iter().all(|(setting, _)| setting != name);
    user.clone().overridden(given.iter().filter(is_setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_parameters() {
        let given = [("mail_index_path", "/i:j"), ("mdbox_rotate_size", "2M"), ("mailbox_list_layout", "fs")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(with_parameters("maildir:/x", &given), "maildir:/x:INDEX=/i::j:LAYOUT=fs");
    }
}
