//! A user id for each home, remembered as the owner of the home.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    ops::RangeInclusive,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{OutfitError, home, template::Template};
use crate::supervise::settings::Credentials;

/// The home and whose it is: its owner if it is there, otherwise the first of `uids` that owns no other home.
pub(super) fn settle(
    path: &Path,
    template: &Template,
    uids: &RangeInclusive<u32>,
    gid: Option<u32>,
) -> Result<Credentials, OutfitError> {
    if !rustix::process::geteuid().is_root() {
        return Err(OutfitError::NotRoot);
    }
    let fixed = template.fixed();
    home::passage(&fixed)?;
    // Another pilotfish may be looking for one at this moment.
    let _alone = alone(&fixed).map_err(|error| OutfitError::Folder { path: fixed.clone(), error })?;
    let uid = match fs::symlink_metadata(path) {
        Ok(found) if uids.contains(&found.uid()) => found.uid(),
        Ok(found) => {
            let why = format!(
                "it belongs to the user id {}, which is not one of {}-{}: give it to a free one with `chown -R`",
                found.uid(),
                uids.start(),
                uids.end()
            );
            return Err(OutfitError::Home { path: path.to_owned(), why });
        }
        Err(_) => {
            let taken = owners(&fixed, template);
            let free = uids.clone().find(|uid| !taken.contains(uid));
            free.ok_or(OutfitError::Uids(u64::from(uids.end() - uids.start()) + 1))?
        }
    };
    let credentials = Credentials { uid, gid: gid.unwrap_or(uid) };
    home::make(path, Some(credentials))?;
    Ok(credentials)
}

fn alone(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

/// The owners of all homes.
fn owners(fixed: &Path, template: &Template) -> BTreeSet<u32> {
    let mut homes = vec![fixed.to_owned()];
    for (part, varies) in template.variable() {
        homes = homes.into_iter().flat_map(|folder| below(&folder, &part, varies)).collect();
    }
    homes.iter().filter_map(|home| Some(fs::symlink_metadata(home).ok()?.uid())).collect()
}

fn below(folder: &Path, part: &str, varies: bool) -> Vec<PathBuf> {
    if !varies {
        return vec![folder.join(part)];
    }
    // More than the template makes may be there; an owner too many only costs a number.
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
