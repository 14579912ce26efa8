//! What is made of some files, and made anew when they change. A change that is no good changes nothing.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::tls::MaterialError;

/// How soon a changed file counts. Contents are compared, not times: secrets in Kubernetes change by a link to another folder.
const EVERY: Duration = Duration::from_secs(2);

/// No certificate is longer, and neither are a hundred of them.
const LONGEST: u64 = 1 << 20;

/// Why files cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What stands in them.
    #[error("{paths}: {source}")]
    Material {
        /// The files.
        paths: String,
        /// What is wrong.
        source: MaterialError,
    },
    /// A name that no certificate can be for.
    #[error("the server name is not a host's name")]
    Name,
}

type Digest = [u8; 32];
type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, MaterialError> + Send + Sync>;

/// Something that is made of files.
pub struct Kept<T> {
    what: String,
    paths: Vec<PathBuf>,
    make: Make<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Of the files that `current` is made of.
    digest: Digest,
    /// What was told last of files that are no good.
    trouble: Option<String>,
}

impl<T> Kept<T> {
    /// Reads the files for the first time.
    pub(super) fn open(what: String, paths: Vec<PathBuf>, make: Make<T>) -> Result<Self, FileError> {
        let (read, digest) = read_all(&paths)?;
        let made = make(&read).map_err(|source| FileError::Material { paths: names(&paths), source })?;
        let seen = Mutex::new(Seen { digest, trouble: None });
        Ok(Self { what, paths, make, current: ArcSwap::from_pointee(made), seen })
    }

    /// What the files say now.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    fn remake(&self, seen: &mut Seen) -> Result<bool, FileError> {
        let (read, digest) = read_all(&self.paths)?;
        if digest == seen.digest {
            return Ok(false);
        }
        let made = (self.make)(&read);
        self.current.store(Arc::new(made.map_err(|source| FileError::Material { paths: names(&self.paths), source })?));
        seen.digest = digest;
        Ok(true)
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("what", &self.what).field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Looks at its files.
pub trait Refresh: Send + Sync {
    /// Looks at them once. Blocks.
    fn refresh(&self);
}

impl<T: Send + Sync> Refresh for Kept<T> {
    fn refresh(&self) {
        let mut seen = self.seen.lock();
        match self.remake(&mut seen) {
            Ok(changed) => {
                if changed {
                    tracing::info!(of = self.what, files = names(&self.paths), "the certificates were read again");
                } else if seen.trouble.is_some() {
                    tracing::info!(of = self.what, "the files of the certificates are as they were");
                }
                seen.trouble = None;
            }
            Err(error) => {
                let trouble = error.to_string();
                if seen.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(of = self.what, reason = trouble, "the last certificates stay in force");
                    seen.trouble = Some(trouble);
                }
            }
        }
    }
}

/// Looks at the files of all until `cancel`. Nothing runs where there are none.
pub fn keep(all: Vec<Arc<dyn Refresh>>, tracker: &TaskTracker, cancel: &CancellationToken) {
    if all.is_empty() {
        return;
    }
    let all = Arc::new(all);
    let look = async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let all = all.clone();
            // A file system that hangs must not hold up a thread that moves bytes.
            let looked = tokio::task::spawn_blocking(move || all.iter().for_each(|kept| kept.refresh()));
            if let Err(error) = looked.await {
                return tracing::error!(reason = %error, "certificates are no longer watched");
            }
        }
    };
    tracker.spawn(cancel.clone().run_until_cancelled_owned(look));
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn read_all(paths: &[PathBuf]) -> Result<(Vec<Vec<u8>>, Digest), FileError> {
    let mut digest = Context::new(&SHA256);
    let mut all = Vec::with_capacity(paths.len());
    for path in paths {
        let read = read(path).map_err(|source| FileError::Read { path: path.clone(), source })?;
        digest.update(&(read.len() as u64).to_le_bytes());
        digest.update(&read);
        all.push(read);
    }
    let digest = digest.finish();
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest.as_ref());
    Ok((all, bytes))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { fs::read(path) }
}
