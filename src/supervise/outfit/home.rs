//! The folder that is one identity's own.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown},
    path::Path,
};

use super::OutfitError;
use crate::supervise::settings::Credentials;

/// The folder beside the homes that is ours. No tenant or user has a name that begins so.
pub(super) const OWN: &str = ".pilotfish";

/// Nobody but its owner.
const PRIVATE: u32 = 0o700;
/// Everybody may go through and nobody may look around.
const PASSAGE: u32 = 0o711;

/// Makes the home, or makes sure of it: a real folder, `owner`'s (or ours), closed to all others. The
/// folder above is ours, so nobody puts something else in its place; of what is in it nothing is touched, for that is its owner's.
pub(super) fn make(home: &Path, owner: Option<Credentials>) -> Result<(), OutfitError> {
    let told = |why: String| OutfitError::Home { path: home.to_owned(), why };
    let failed = |error: io::Error| told(error.to_string());
    if let Some(parent) = home.parent() {
        passage(parent)?;
    }
    let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |owner| owner.uid);
    match DirBuilder::new().mode(PRIVATE).create(home) {
        Ok(()) => {
            if let Some(owner) = owner {
                lchown(home, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let found = fs::symlink_metadata(home).map_err(failed)?;
    if !found.is_dir() {
        return Err(told("it is not a folder".to_owned()));
    }
    if found.uid() != uid {
        return Err(told(format!("it belongs to the user id {}, not to {uid}", found.uid())));
    }
    if found.mode() & 0o777 != PRIVATE {
        fs::set_permissions(home, Permissions::from_mode(PRIVATE)).map_err(failed)?;
    }
    if owner.is_some() {
        reachable(home)?;
    }
    Ok(())
}

/// The folders above a home that are not there yet.
pub(super) fn passage(folder: &Path) -> Result<(), OutfitError> {
    let made = DirBuilder::new().recursive(true).mode(PASSAGE).create(folder);
    made.map_err(|error| OutfitError::Folder { path: folder.to_owned(), error })
}

/// Whoever is not root has to come through every folder above.
fn reachable(home: &Path) -> Result<(), OutfitError> {
    for folder in home.ancestors().skip(1) {
        let closed = fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 == 0);
        if closed {
            let why = format!("{} is closed to other users: chmod o+x it", folder.display());
            return Err(OutfitError::Home { path: home.to_owned(), why });
        }
    }
    Ok(())
}
