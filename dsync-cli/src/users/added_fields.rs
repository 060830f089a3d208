//! What a `userdb` block of Dovecot 2.4 says about its users itself, in `fields`.
//!
//! A field counts in place of what the database says. One whose name ends in `:default` counts only if the database says nothing,
//! and one that ends in `:remove` takes away what it says. With `fields_import_all=no` nothing else counts. What the database
//! says can be used as `%{DRIVER:FIELD}`, with `_` for `-`. Source: observation of Dovecot 2.4.1.

/// The fields of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedFields {
    /// Names and values, before variables are expanded.
    pub(crate) fields: Vec<(String, String)>,
    /// Whether what the database says counts, too.
    pub(crate) import_all: bool,
}

impl Default for AddedFields {
    /// None, as everywhere before 2.4.
    fn default() -> Self {
        Self { fields: Vec::new(), import_all: true }
    }
}

/// What variables of a driver stand for.
pub(crate) fn variables(driver: &str, found: &[String]) -> Vec<(String, String)> {
    let driver = driver.replace('-', "_");
    let parts = found.iter().map(|field| field.split_once('=').unwrap_or((field, "yes")));
    parts.map(|(key, value)| (format!("{driver}:{key}"), value.to_owned())).collect()
}

impl AddedFields {
    /// All that is said of a user, if a database has `found` this. `expand` replaces variables.
    ///
    /// # Errors
    /// As `expand`.
    pub(crate) fn added_to<E>(
        &self,
        found: Vec<String>,
        expand: impl Fn(&str) -> Result<String, E>,
    ) -> Result<Vec<String>, E> {
        let mut all = if self.import_all { found } else { Vec::new() };
        for (name, value) in &self.fields {
            let (key, kind) = name.split_once(':').unwrap_or((name, ""));
            let is_about = |field: &String| field.split('=').next() == Some(key);
            match kind {
                "default" if all.iter().any(is_about) => continue,
                "" | "remove" => all.retain(|field| !is_about(field)),
                _ => {}
            }
            if matches!(kind, "" | "default") {
                all.push(format!("{key}={}", expand(value)?));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_count_in_place_of_what_was_found() {
        let of = |fields: &[(&str, &str)], import_all| AddedFields {
            fields: fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            import_all,
        };
        let found = || ["uid=5", "home=/file", "quota_rule=a"].map(str::to_owned).to_vec();
        let expand = |text: &str| Ok::<_, ()>(text.replace("%u", "joe"));
        assert_eq!(AddedFields::default().added_to(found(), expand), Ok(found()));
        let fields = of(
            &[
                ("gid:default", "7"),
                ("home", "/home/%u"),
                ("quota_rule:remove", ""),
                ("uid:default", "9"),
                ("x:odd", "y"),
            ],
            true,
        );
        assert_eq!(fields.added_to(found(), expand).unwrap(), ["uid=5", "gid=7", "home=/home/joe"]);
        assert_eq!(of(&[("home:default", "/h")], false).added_to(found(), expand).unwrap(), ["home=/h"]);
        assert_eq!(variables("passwd-file", &found())[1], ("passwd_file:home".to_owned(), "/file".to_owned()));
    }
}
