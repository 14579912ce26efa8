//! Supervised pools: their ports, commands and environment.

use super::{addresses::binds, pool_path};
use crate::config::{
    kind::PortRange,
    problem::nearest,
    reader::{Reader, join},
    schema::{File, Supervise},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    let mut ranges: Vec<(String, PortRange)> = Vec::new();
    for (name, pool) in &file.pools {
        let path = format!("{}.supervise", pool_path(name));
        let Some(supervise) = pool.supervise.as_ref().filter(|_| reader.is_sound(&path)) else { continue };
        count(reader, &path, supervise, pool.is_isolated());
        command(reader, &path, supervise);
        environment(reader, &path, supervise, pool.connection_token.is_some());
        backoff(reader, &path, supervise);
        prefix(reader, &path, name, supervise);
        let key = format!("{path}.port_range");
        if reader.is_sound(&key) {
            let wanted = if pool.is_isolated() { pool.instances.max_instances } else { supervise.processes() };
            ports(reader, &path, supervise, wanted);
            listened(file, reader, &key, supervise.port_range);
            neighbours(reader, &key, supervise.port_range, &ranges);
            ranges.push((key, supervise.port_range));
        }
    }
}

fn count(reader: &mut Reader<'_>, path: &str, supervise: &Supervise, isolated: bool) {
    let key = format!("{path}.count");
    if !isolated && supervise.count.is_none() && reader.is_sound(&key) {
        reader.error(&key, "nothing", "a number from 1 to 1000", Some("add `count = 3`".to_owned()));
    }
}

fn command(reader: &mut Reader<'_>, path: &str, supervise: &Supervise) {
    let key = format!("{path}.command");
    if reader.is_sound(&key) && !supervise.command.iter().any(|word| word.contains("{port}")) {
        let braced = supervise.command.iter().filter_map(|word| word.split_once('{')?.1.split_once('}'));
        let slip = braced.filter_map(|(inner, _)| nearest(inner, ["port"])).next();
        let hint = slip.map_or("add \"--port\", \"{port}\"", |_| "did you mean `{port}`?").to_owned();
        reader.error(&key, "a command without {port}", "{port} where the instance's port goes", Some(hint));
    }
}

fn environment(reader: &mut Reader<'_>, path: &str, supervise: &Supervise, token: bool) {
    let home = join(&format!("{path}.env"), "COPILOT_HOME");
    if supervise.home.is_some() && supervise.env.contains_key("COPILOT_HOME") {
        reader.error(&home, "a COPILOT_HOME beside `home`", "one of them", None);
    }
    let key = join(&format!("{path}.env"), "COPILOT_CONNECTION_TOKEN");
    if supervise.env.contains_key("COPILOT_CONNECTION_TOKEN") {
        let found = "a token that pilotfish does not know";
        let expected = "`connection_token` of the pool, which the CLIs are given";
        let hint = token.then(|| "it is set already: leave this out".to_owned());
        reader.error(&key, found, expected, hint);
    }
}

fn backoff(reader: &mut Reader<'_>, path: &str, supervise: &Supervise) {
    let (min, max) = (format!("{path}.restart_backoff.min"), format!("{path}.restart_backoff.max"));
    let backoff = &supervise.restart_backoff;
    if reader.is_sound(&min) && reader.is_sound(&max) && backoff.min > backoff.max {
        let key = if reader.is_set(&min) { &min } else { &max };
        reader.error(key, format!("pauses from {:?} to {:?}", backoff.min, backoff.max), "min not above max", None);
    }
}

/// The names of the instances obey the same rule as every backend's name.
fn prefix(reader: &mut Reader<'_>, path: &str, pool: &str, supervise: &Supervise) {
    if supervise.name_prefix.is_none() && pool.len() > 58 && pool.len() <= 64 {
        let key = format!("{path}.name_prefix");
        reader.error(&key, "nothing", "a prefix of at most 58 characters, as the pool's name is longer", None);
    }
}

fn ports(reader: &mut Reader<'_>, path: &str, supervise: &Supervise, wanted: u32) {
    let (range, count) = (supervise.port_range, wanted);
    if reader.is_sound(&format!("{path}.count")) && range.count() < count as usize {
        let found = format!("{} ports for {count} CLIs", range.count());
        reader.error(&format!("{path}.port_range"), found, format!("at least {count} ports"), None);
    }
}

fn listened(file: &File, reader: &mut Reader<'_>, key: &str, range: PortRange) {
    for (listener, address) in binds(file, reader) {
        let local = address.ip().is_loopback() || address.ip().is_unspecified();
        if local && range.contains(address.port()) {
            let found = format!("a range with port {} in it, which is taken by {listener}", address.port());
            reader.error(key, found, "ports that pilotfish does not listen on", None);
        }
    }
}

fn neighbours(reader: &mut Reader<'_>, key: &str, range: PortRange, others: &[(String, PortRange)]) {
    let shared = |other: &PortRange| other.first <= range.last && range.first <= other.last;
    if let Some((other, _)) = others.iter().find(|(_, other)| shared(other)) {
        let found = format!("a range that overlaps {other}");
        reader.error(key, found, "ports that no other pool uses", Some("give each pool its own port_range".to_owned()));
    }
}
