//! Where the configuration is: found by `doveconf` if there is one, else a file, else nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the surroundings of the process say.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// Environment variables. Those that are not UTF-8 cannot be referred to.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where `doveconf` may be, besides `PATH`.
    pub(crate) program_directories: Vec<PathBuf>,
    /// Where a server's configuration may be.
    pub(crate) configuration_files: Vec<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        let text = |name: std::ffi::OsString| name.into_string().ok();
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self {
            variables,
            program_directories: ["/usr/bin", "/usr/local/bin", "/usr/sbin"].map(PathBuf::from).to_vec(),
            configuration_files: ["/etc/dovecot/dovecot.conf", "/usr/local/etc/dovecot/dovecot.conf"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn doveconf(&self) -> Option<PathBuf> {
        let path = self.variable("PATH").unwrap_or_default().split(':').map(PathBuf::from);
        // What lies in the current directory is nobody's program.
        let directories = path.filter(|directory| directory.is_absolute()).chain(self.program_directories.clone());
        directories.map(|directory| directory.join("doveconf")).find(|program| is_program(program))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A program reads it: this file, or the usual one.
    Doveconf { program: PathBuf, file: Option<PathBuf> },
    /// A file that we read.
    File(PathBuf),
    /// There is none.
    Nowhere,
}

impl Source {
    /// `file` is what the user named.
    pub(crate) fn find(file: Option<&Path>, environment: &Environment) -> Self {
        let named = file.or(environment.variable("CONFIG_FILE").map(Path::new)).map(Path::to_owned);
        let usual = || environment.configuration_files.iter().find(|path| path.exists()).cloned();
        match (environment.doveconf(), named) {
            (Some(program), file) => Self::Doveconf { program, file },
            (None, named) => named.or_else(usual).map_or(Self::Nowhere, Self::File),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn surroundings(directory: &Path) -> Environment {
        Environment {
            variables: BTreeMap::from([("PATH".to_owned(), format!(".::{}/bin", directory.display()))]),
            program_directories: vec![directory.join("sbin")],
            configuration_files: vec![directory.join("none.conf"), directory.join("dovecot.conf")],
        }
    }

    #[test]
    fn a_program_comes_before_a_file_and_a_named_file_before_the_usual_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut environment = surroundings(directory.path());
        assert_eq!(Source::find(None, &environment), Source::Nowhere);
        fs::write(path("dovecot.conf"), "").unwrap();
        assert_eq!(Source::find(None, &environment), Source::File(path("dovecot.conf")));
        environment.variables.insert("CONFIG_FILE".to_owned(), "/env.conf".to_owned());
        assert_eq!(Source::find(None, &environment), Source::File("/env.conf".into()));
        let named = Some(Path::new("/named.conf"));
        assert_eq!(Source::find(named, &environment), Source::File("/named.conf".into()));

        fs::create_dir(path("sbin")).unwrap();
        let program = path("sbin/doveconf");
        fs::write(&program, "").unwrap();
        assert_eq!(Source::find(named, &environment), Source::File("/named.conf".into()), "it cannot be run");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let file = Some("/named.conf".into());
        assert_eq!(Source::find(named, &environment), Source::Doveconf { program, file });
    }
}
