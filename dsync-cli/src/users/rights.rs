//! With which rights mail is accessed: a decision over what is known about a user, the settings, and who we are.
//!
//! Nobody who was looked up is ever served as root. The one who runs the program without naming a user is served with the
//! rights that they have, whoever they are, unless the settings say otherwise (`mail_uid`).

use std::path::{Component, Path, PathBuf};

use nix::unistd::{Gid, Uid};
use thiserror::Error;

use super::record::UserRecord;
use crate::configuration::Settings;

/// What the settings say about rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RightsSettings {
    /// `mail_uid`, for users of whom the user database says none.
    pub(crate) mail_uid: Option<Uid>,
    /// `mail_gid`, in the same way.
    pub(crate) mail_gid: Option<Gid>,
    /// `first_valid_uid` and `last_valid_uid`; the second is 0 if there is no last.
    pub(crate) valid_uids: (u32, u32),
    /// `first_valid_gid` and `last_valid_gid`.
    pub(crate) valid_gids: (u32, u32),
    /// `mail_access_groups`.
    pub(crate) access_groups: Vec<Gid>,
    /// `mail_privileged_group`.
    pub(crate) privileged_group: Option<Gid>,
    /// `mail_chroot`.
    pub(crate) chroot: Option<String>,
    /// `valid_chroot_dirs`.
    pub(crate) chroot_directories: Vec<String>,
}

/// Who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

/// What to become. `None` is to be left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) gid: Option<Gid>,
    /// To be put aside as the saved group, for dotlocks.
    pub(crate) saved_group: Option<Gid>,
    /// Instead of all supplementary groups that there are.
    pub(crate) groups: Option<Vec<Gid>>,
    pub(crate) chroot: Option<PathBuf>,
    pub(crate) uid: Option<Uid>,
}

/// Why a user cannot be served with any rights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RightsError {
    /// Nobody says what uid the user has.
    #[error(
        "there is no uid, neither from the user database nor by mail_uid, and mail is not accessed as root; set one of them"
    )]
    NoUid,
    /// Nobody says what gid the user has.
    #[error("there is no gid, neither from the user database nor by mail_gid; set one of them")]
    NoGid,
    /// It would be root.
    #[error("mail_uid is root, and mail of users is not accessed as root; set it to another user")]
    Root,
    /// The administrator does not want such users.
    #[error(
        "access to mail with {kind} {id} is not permitted, see the settings first_valid_{kind} and last_valid_{kind}"
    )]
    NotValid {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The number.
        id: u32,
    },
    /// Only root could do that.
    #[error("it takes {kind} {id}, and this process runs with {kind} {ours}; run it as that user, or as root")]
    NotRoot {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The number.
        id: u32,
        /// That of this process.
        ours: u32,
    },
    /// Only root can change the root directory.
    #[error("the root directory would have to be changed to {0}, which only root can do; run dsync as root")]
    ChrootNotRoot(PathBuf),
    /// The user database says more than it may.
    #[error("{0} is not in any of the directories in valid_chroot_dirs; add one there, or correct the user database")]
    ChrootNotValid(PathBuf),
}

/// Decides it. `record` is what was found in a user database, if one was asked; `groups_of` finds the supplementary
/// groups of a system user.
///
/// # Errors
/// If the user cannot or must not be served.
pub(crate) fn decide(
    record: Option<&UserRecord>,
    chroot: Option<&Path>,
    settings: &RightsSettings,
    caller: Caller,
    groups_of: impl FnOnce(&str, Gid) -> Vec<Gid>,
) -> Result<Rights, RightsError> {
    let uid = record.and_then(|record| record.uid).or(settings.mail_uid);
    let gid = record.and_then(|record| record.gid).or(settings.mail_gid);
    check_range("uid", uid.map(Uid::as_raw), settings.valid_uids)?;
    check_range("gid", gid.map(Gid::as_raw), settings.valid_gids)?;
    if record.is_some() && uid.is_some_and(Uid::is_root) {
        return Err(RightsError::Root);
    }
    if !caller.uid.is_root() {
        return of_ordinary_user(uid, gid, chroot, caller);
    }
    let chroot = chroot.map(Path::to_owned);
    let Some(uid) = uid else {
        // Root's own mail, on request of root.
        return if record.is_none() { Ok(Rights { chroot, ..Rights::default() }) } else { Err(RightsError::NoUid) };
    };
    let gid = gid.ok_or(RightsError::NoGid)?;
    let mut groups = vec![gid];
    if let Some(name) = record.and_then(|record| record.system_groups_user.as_deref()) {
        let is_valid = |group: &Gid| check_range("gid", Some(group.as_raw()), settings.valid_gids).is_ok();
        groups.extend(groups_of(name, gid).into_iter().filter(is_valid));
    }
    groups.extend(&settings.access_groups);
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(group.as_raw()));
    let saved_group = settings.privileged_group.filter(|group| *group != gid);
    Ok(Rights { gid: Some(gid), saved_group, groups: Some(groups), chroot, uid: Some(uid) })
}

/// One who is not root can be served only as who they are.
fn of_ordinary_user(
    uid: Option<Uid>,
    gid: Option<Gid>,
    chroot: Option<&Path>,
    caller: Caller,
) -> Result<Rights, RightsError> {
    let refuse = |kind, id, ours| Err(RightsError::NotRoot { kind, id, ours });
    match (uid, gid, chroot) {
        (Some(uid), _, _) if uid != caller.uid => refuse("uid", uid.as_raw(), caller.uid.as_raw()),
        (_, Some(gid), _) if gid != caller.gid => refuse("gid", gid.as_raw(), caller.gid.as_raw()),
        (_, _, Some(chroot)) => Err(RightsError::ChrootNotRoot(chroot.to_owned())),
        _ => Ok(Rights::default()),
    }
}

fn check_range(kind: &'static str, id: Option<u32>, (first, last): (u32, u32)) -> Result<(), RightsError> {
    match id {
        Some(id) if id < first || (last != 0 && id > last) => Err(RightsError::NotValid { kind, id }),
        _ => Ok(()),
    }
}

/// `first_valid_uid` and `last_valid_uid`.
pub(crate) fn valid_uids(settings: &Settings) -> (u32, u32) {
    (number(settings, "first_valid_uid", 500), number(settings, "last_valid_uid", 0))
}

/// `first_valid_gid` and `last_valid_gid`.
pub(crate) fn valid_gids(settings: &Settings) -> (u32, u32) {
    (number(settings, "first_valid_gid", 1), number(settings, "last_valid_gid", 0))
}

/// A server's own reader makes sure that they are numbers.
fn number(settings: &Settings, name: &str, default: u32) -> u32 {
    settings.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where the root directory is to be, and the home directory as it is called there.
///
/// A home directory with `/./` in it has both. A `mail_chroot` that ends with `/.` says that the home directory is given
/// as it is called outside.
///
/// # Errors
/// If the user database names a root directory that is not allowed.
pub(crate) fn chroot_and_home(
    record: &UserRecord,
    settings: &RightsSettings,
) -> Result<(Option<PathBuf>, Option<String>), RightsError> {
    let mut home = record.home.clone();
    let mut from_record = record.chroot.clone();
    if !settings.chroot_directories.is_empty()
        && from_record.is_none()
        && let Some((outside, inside)) = record.home.as_deref().and_then(|home| home.split_once("/./"))
    {
        (from_record, home) = (Some(outside.to_owned()), Some(format!("/{inside}")));
    }
    if let Some(chroot) = from_record {
        let chroot = PathBuf::from(chroot);
        let is_plain = chroot.is_absolute() && chroot.components().all(|part| !matches!(part, Component::ParentDir));
        let mut allowed = settings.chroot_directories.iter().filter(|directory| !directory.is_empty());
        return match is_plain && allowed.any(|directory| chroot.starts_with(directory)) {
            true => Ok((Some(chroot), home)),
            false => Err(RightsError::ChrootNotValid(chroot)),
        };
    }
    let Some(chroot) = settings.chroot.as_deref().filter(|chroot| !chroot.is_empty()) else {
        return Ok((None, home));
    };
    let Some(outside) = chroot.strip_suffix("/.") else { return Ok((Some(chroot.into()), home)) };
    let inside = home.as_deref().and_then(|home| home.strip_prefix(outside));
    let inside = inside.filter(|inside| inside.is_empty() || inside.starts_with('/'));
    let inside = inside.map(|inside| format!("/{}", inside.trim_start_matches('/')));
    Ok((Some(outside.into()), inside.or(home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Caller = Caller { uid: Uid::from_raw(0), gid: Gid::from_raw(0) };
    const JOE: Caller = Caller { uid: Uid::from_raw(5000), gid: Gid::from_raw(5001) };

    fn settings() -> RightsSettings {
        RightsSettings {
            mail_uid: None,
            mail_gid: None,
            valid_uids: (500, 0),
            valid_gids: (1, 0),
            access_groups: Vec::new(),
            privileged_group: None,
            chroot: None,
            chroot_directories: Vec::new(),
        }
    }

    fn record(uid: Option<u32>, gid: Option<u32>) -> UserRecord {
        UserRecord {
            name: "joe".to_owned(),
            uid: uid.map(Uid::from_raw),
            gid: gid.map(Gid::from_raw),
            ..UserRecord::default()
        }
    }

    fn decided(record: &UserRecord, settings: &RightsSettings, caller: Caller) -> Result<Rights, RightsError> {
        decide(Some(record), None, settings, caller, |name, _| {
            assert_eq!(name, "system");
            [5001, 8, 0, 70_000].map(Gid::from_raw).to_vec()
        })
    }

    fn becomes(uid: u32, gid: u32, groups: &[u32]) -> Result<Rights, RightsError> {
        let groups = groups.iter().copied().map(Gid::from_raw).collect();
        Ok(Rights {
            saved_group: None,
            uid: Some(Uid::from_raw(uid)),
            gid: Some(Gid::from_raw(gid)),
            groups: Some(groups),
            chroot: None,
        })
    }

    #[test]
    fn root_becomes_the_user_with_no_other_groups() {
        assert_eq!(decided(&record(Some(5000), Some(5001)), &settings(), ROOT), becomes(5000, 5001, &[5001]));
    }

    #[test]
    fn settings_stand_in_for_what_is_not_known() {
        let mail_user =
            RightsSettings { mail_uid: Some(Uid::from_raw(600)), mail_gid: Some(Gid::from_raw(601)), ..settings() };
        assert_eq!(decided(&record(None, None), &mail_user, ROOT), becomes(600, 601, &[601]));
        assert_eq!(decided(&record(Some(5000), None), &mail_user, ROOT), becomes(5000, 601, &[601]));
        let own = decide(None, None, &mail_user, ROOT, |_, _| Vec::new());
        assert_eq!(own, becomes(600, 601, &[601]), "also without a lookup");
    }

    #[test]
    fn groups_come_from_the_system_and_the_settings() {
        let user = UserRecord { system_groups_user: Some("system".to_owned()), ..record(Some(5000), Some(5001)) };
        let access = RightsSettings { access_groups: vec![Gid::from_raw(12), Gid::from_raw(8)], ..settings() };
        assert_eq!(decided(&user, &access, ROOT), becomes(5000, 5001, &[5001, 8, 70_000, 12]), "not group 0");
        let spool = RightsSettings { privileged_group: Some(Gid::from_raw(8)), ..access.clone() };
        let decided_group = |settings: &RightsSettings, gid| {
            let caller = Caller { uid: Uid::from_raw(0), gid: Gid::from_raw(0) };
            decided(&record(Some(5000), Some(gid)), settings, caller).unwrap().saved_group
        };
        assert_eq!(decided_group(&spool, 5001), Some(Gid::from_raw(8)));
        assert_eq!(decided_group(&spool, 8), None, "it is not needed");
        let narrow = RightsSettings { valid_gids: (1000, 60_000), ..access };
        assert_eq!(decided(&user, &narrow, ROOT), becomes(5000, 5001, &[5001, 12, 8]));
    }

    #[test]
    fn nobody_is_served_as_root() {
        let root =
            RightsSettings { mail_uid: Some(Uid::from_raw(0)), valid_uids: (0, 0), valid_gids: (0, 0), ..settings() };
        assert_eq!(decided(&record(None, Some(5001)), &root, ROOT), Err(RightsError::Root));
        assert_eq!(decided(&record(None, Some(5001)), &settings(), ROOT), Err(RightsError::NoUid));
        assert_eq!(decided(&record(Some(5000), None), &settings(), ROOT), Err(RightsError::NoGid));
        let own = decide(None, None, &settings(), ROOT, |_, _| Vec::new());
        assert_eq!(own, Ok(Rights::default()), "root may look at root's own mail");
    }

    #[test]
    fn ids_out_of_range_are_refused() {
        let error = |kind, id| Err(RightsError::NotValid { kind, id });
        for caller in [ROOT, JOE] {
            assert_eq!(decided(&record(Some(499), Some(5001)), &settings(), caller), error("uid", 499));
            assert_eq!(decided(&record(Some(5000), Some(0)), &settings(), caller), error("gid", 0));
            let narrow = RightsSettings { valid_uids: (500, 4999), ..settings() };
            assert_eq!(decided(&record(Some(5000), Some(5001)), &narrow, caller), error("uid", 5000));
        }
        let last = RightsSettings { valid_uids: (5000, 5000), valid_gids: (5001, 5001), ..settings() };
        assert!(decided(&record(Some(5000), Some(5001)), &last, ROOT).is_ok());
    }

    #[test]
    fn others_can_only_be_who_they_are() {
        for user in [record(Some(5000), Some(5001)), record(None, None), record(Some(5000), None)] {
            assert_eq!(decided(&user, &settings(), JOE), Ok(Rights::default()));
        }
        let refused = |kind, id, ours| Err(RightsError::NotRoot { kind, id, ours });
        assert_eq!(decided(&record(Some(5002), Some(5001)), &settings(), JOE), refused("uid", 5002, 5000));
        assert_eq!(decided(&record(Some(5000), Some(5002)), &settings(), JOE), refused("gid", 5002, 5001));
        let chroot = Path::new("/srv");
        let result = decide(Some(&record(None, None)), Some(chroot), &settings(), JOE, |_, _| Vec::new());
        assert_eq!(result, Err(RightsError::ChrootNotRoot("/srv".into())));
    }

    #[test]
    fn root_directories_are_allowed_explicitly() {
        let allowed = RightsSettings { chroot_directories: vec!["/srv".to_owned(), String::new()], ..settings() };
        let of = |chroot: Option<&str>, home: &str, settings: &RightsSettings| {
            let chroot = chroot.map(str::to_owned);
            let user = UserRecord { chroot, home: Some(home.to_owned()), ..record(None, None) };
            let (chroot, home) = chroot_and_home(&user, settings).ok()?;
            Some((chroot.map(|path| path.display().to_string()), home.unwrap_or_default()))
        };
        let found = |chroot: Option<&str>, home: &str| Some((chroot.map(str::to_owned), home.to_owned()));
        assert_eq!(of(None, "/home/./joe", &settings()), found(None, "/home/./joe"));
        assert_eq!(of(None, "/srv/a/./joe", &allowed), found(Some("/srv/a"), "/joe"));
        assert_eq!(of(Some("/srv"), "/joe", &allowed), found(Some("/srv"), "/joe"));
        for chroot in ["/srvx", "/srv/../etc", "/", "srv", "/etc"] {
            assert_eq!(of(Some(chroot), "/joe", &allowed), None, "{chroot}");
        }
        assert_eq!(of(Some("/srv"), "/joe", &settings()), None, "none is allowed");
        assert_eq!(of(None, "/etc/./joe", &allowed), None);

        let set = |chroot: &str| RightsSettings { chroot: Some(chroot.to_owned()), ..settings() };
        assert_eq!(of(None, "/joe", &set("/srv")), found(Some("/srv"), "/joe"));
        assert_eq!(of(None, "/srv/joe", &set("/srv/.")), found(Some("/srv"), "/joe"));
        assert_eq!(of(None, "/srv", &set("/srv/.")), found(Some("/srv"), "/"));
        assert_eq!(of(None, "/srvx/joe", &set("/srv/.")), found(Some("/srv"), "/srvx/joe"));
    }
}
