//! One CLI for one home, whoever starts them.

use std::{fs::File, io, path::Path, time::Duration};

use rustix::fs::{FlockOperation, flock};
use tokio::time::{self, Instant};

/// Beyond the time that a command has for its end: a guard whose pilotfish was killed sweeps up.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

/// Holds the lock of a folder until it is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
}

impl Lock {
    /// Waits a while for whoever has it, and has `grace` to end.
    pub async fn take(folder: &Path, grace: Duration) -> io::Result<Self> {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        let file = File::open(folder).map_err(told)?;
        let end = Instant::now() + grace + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _folder: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => time::sleep(STEP).await,
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let text = format!("the home {} is in use: another pilotfish runs a CLI in it", folder.display());
                    return Err(io::Error::other(text));
                }
                Err(error) => return Err(told(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_one_has_it() {
        let folder = std::env::temp_dir().join(format!("pilotfish-lock-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let first = Lock::take(&folder, Duration::ZERO).await.unwrap();
        let second = Lock::take(&folder, Duration::ZERO).await.unwrap_err();
        assert!(second.to_string().contains("another pilotfish runs a CLI in it"), "{second}");
        drop(first);
        Lock::take(&folder, Duration::ZERO).await.unwrap();
        std::fs::remove_dir(&folder).unwrap();
        assert_eq!(Lock::take(&folder, Duration::ZERO).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
