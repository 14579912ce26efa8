//! Recycling: what can be measured of whom, and who starts a backend again.

use super::pool_path;
use crate::config::{
    reader::Reader,
    schema::{File, Pool},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        let tables = [format!("{path}.recycle"), format!("{path}.supervise"), format!("{path}.backends"), path];
        if tables.iter().all(|table| reader.is_sound(table)) {
            let [recycle, ..] = tables;
            starter(reader, &recycle, pool);
            measures(reader, &recycle, pool);
            company(reader, &recycle, pool);
        }
    }
}

/// Somebody has to start it again, and only one.
fn starter(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let (key, recycle) = (format!("{path}.on_recycle"), &pool.recycle);
    if !reader.is_sound(&key) {
        return;
    }
    match (&recycle.on_recycle, pool.supervise.is_some(), recycle.limits()) {
        (Some(_), true, _) => {
            let hint = "pilotfish starts supervised CLIs again itself: leave this out".to_owned();
            reader.error(&key, "a command in a supervised pool", "one for `backends`", Some(hint));
        }
        (None, false, true) => {
            let hint = "add on_recycle = [\"/usr/local/bin/restart-cli\"]".to_owned();
            reader.error(&key, "limits and no command", "the command that starts a backend again", Some(hint));
        }
        (Some(_), false, false) => {
            reader.warn(
                &key,
                "a command and no limit",
                "a limit such as `max_age`",
                Some("it is never run".to_owned()),
            );
        }
        _ => {}
    }
}

/// Of a process that we did not start we do not know the number, and it may be on another machine.
fn measures(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let set = [
        ("max_memory", pool.recycle.max_memory.is_some()),
        ("max_descriptors", pool.recycle.max_descriptors.is_some()),
    ];
    for (name, _) in set.into_iter().filter(|(_, set)| *set && pool.supervise.is_none()) {
        let key = format!("{path}.{name}");
        if reader.is_sound(&key) {
            let hint = "\"max_age\", \"max_sessions\" and \"slow_probe\" go for `backends` too".to_owned();
            reader.error(&key, "a limit on backends that pilotfish does not start", "a supervised pool", Some(hint));
        }
    }
}

/// The sessions of one that is recycled have to go somewhere.
fn company(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let count = pool.supervise.as_ref().map_or(pool.backends.len(), |supervise| supervise.processes() as usize);
    if pool.recycle.limits() && count == 1 {
        let hint = "a backend is recycled only while another one takes sessions".to_owned();
        reader.warn(path, "recycling in a pool of one", "a second backend", Some(hint));
    }
}
