//! What a guard is told on its command line, beside the command. Nothing here is secret: everybody can read it.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use crate::supervise::settings::{Credentials, Limits};

const GRACE: &str = "--grace-ms";
const LOCK: &str = "--lock";
const SPARE: &str = "--spare";
const SEALED: &str = "--sealed";
const LEASH: &str = "--leash";
const GROUP: &str = "--cgroup";
const USER: &str = "--uid";
const COMMON: &str = "--gid";
const MEMORY: &str = "--memory";
const CPU: &str = "--cpu";
const PIDS: &str = "--pids";
const FILES: &str = "--open-files";
const FILE_SIZE: &str = "--file-size";
const PROCESSES: &str = "--processes";

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::supervise) struct Orders {
    /// From TERM to KILL.
    pub grace: Duration,
    /// A folder of which only one guard at a time may have the lock.
    pub lock: Option<PathBuf>,
    /// The command waits for its identity.
    pub spare: bool,
    /// Nothing that the command starts can become another user.
    pub sealed: bool,
    /// Only become the command, tied to the life of this process.
    pub leash: Option<u32>,
    /// As whom the command runs.
    pub credentials: Option<Credentials>,
    /// What it may use.
    pub limits: Limits,
}

impl Orders {
    /// The orders at the beginning of `words`, and the command behind them. `None`: they cannot be understood.
    pub fn parse(mut words: &[OsString]) -> Option<(Self, &[OsString])> {
        let mut orders = Self::default();
        let (mut uid, mut gid) = (None, None);
        while let [option, value, rest @ ..] = words {
            let Some(option) = option.to_str().filter(|option| option.starts_with("--")) else { break };
            let limits = &mut orders.limits;
            match option {
                GRACE => orders.grace = Duration::from_millis(number(value)?),
                LOCK => orders.lock = Some(value.into()),
                SPARE => orders.spare = true,
                SEALED => orders.sealed = true,
                LEASH => orders.leash = Some(number(value)?),
                GROUP => limits.cgroup = Some(value.into()),
                USER => uid = Some(number(value)?),
                COMMON => gid = Some(number(value)?),
                MEMORY => limits.memory = Some(number(value)?),
                CPU => limits.cpu = Some(number(value)?),
                PIDS => limits.pids = Some(number(value)?),
                FILES => limits.open_files = Some(number(value)?),
                FILE_SIZE => limits.file_size = Some(number(value)?),
                PROCESSES => limits.processes = Some(number(value)?),
                _ => return None,
            }
            words = rest;
        }
        orders.credentials = match (uid, gid) {
            (Some(uid), Some(gid)) => Some(Credentials { uid, gid }),
            (None, None) => None,
            _ => return None,
        };
        (!words.is_empty()).then_some((orders, words))
    }

    /// The words that [`Orders::parse`] takes.
    pub fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut say = |option: &str, value: Option<OsString>| {
            if let Some(value) = value {
                words.extend([OsString::from(option), value]);
            }
        };
        let Self { grace, lock, spare, sealed, leash, credentials, limits } = self;
        say(GRACE, Some(grace.as_millis().to_string().into()));
        say(LOCK, lock.as_ref().map(Into::into));
        say(SPARE, spare.then(|| "1".into()));
        say(SEALED, sealed.then(|| "1".into()));
        say(LEASH, written(*leash));
        say(GROUP, limits.cgroup.as_ref().map(Into::into));
        say(USER, written(credentials.map(|who| who.uid)));
        say(COMMON, written(credentials.map(|who| who.gid)));
        say(MEMORY, written(limits.memory));
        say(CPU, written(limits.cpu));
        say(PIDS, written(limits.pids));
        say(FILES, written(limits.open_files));
        say(FILE_SIZE, written(limits.file_size));
        say(PROCESSES, written(limits.processes));
        words
    }
}

fn number<T: std::str::FromStr>(word: &OsStr) -> Option<T> {
    word.to_str()?.parse().ok()
}

fn written(number: Option<impl ToString>) -> Option<OsString> {
    number.map(|number| number.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let limits = Limits {
            memory: Some(1 << 30),
            cpu: Some(1.5),
            pids: Some(64),
            cgroup: Some("/sys/fs/cgroup/pilotfish".into()),
            open_files: Some(4096),
            file_size: Some(1 << 20),
            processes: Some(128),
        };
        let all = Orders {
            grace: Duration::from_millis(1500),
            lock: Some("/homes/a b".into()),
            spare: true,
            sealed: true,
            leash: Some(12),
            credentials: Some(Credentials { uid: 20_001, gid: 20_000 }),
            limits,
        };
        for orders in [all, Orders::default()] {
            let words = [orders.words(), vec!["copilot".into(), "--headless".into()]].concat();
            let (heard, command) = Orders::parse(&words).unwrap();
            assert_eq!((heard, command), (orders, &words[words.len() - 2..]));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let refused: [&[&str]; 6] = [
            &[],
            &["--grace-ms", "1"],
            &["--grace-ms", "x", "cli"],
            &["--uid", "5", "cli"],
            &["--wings", "2", "cli"],
            &["--memory", "-1", "cli"],
        ];
        for words in refused {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(Orders::parse(&words), None, "{words:?}");
        }
    }
}
