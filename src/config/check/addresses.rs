//! Addresses that we listen on: no two alike, and none of them a backend.

use std::net::{IpAddr, SocketAddr};

use super::{listeners, pool_path};
use crate::config::{reader::Reader, schema::File};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    let ours = binds(file, reader);
    for (index, (path, address)) in ours.iter().enumerate() {
        if let Some((first, other)) = ours[..index].iter().find(|(_, other)| overlap(*address, *other)) {
            let found = format!("{address}, which is taken by {first} ({other})");
            let hint =
                (address.ip() != other.ip()).then(|| "the address of all interfaces covers each of them".to_owned());
            reader.error(path, found, "an address and port of its own", hint);
        }
    }
    loops(file, reader, &ours);
    let admin = file.admin.bind;
    if reader.is_sound("admin.bind") && !admin.ip().is_loopback() {
        let found = format!("{admin}, which other machines reach");
        let hint = "it asks for no password".to_owned();
        reader.warn("admin.bind", found, "a loopback address, or a network that only operators reach", Some(hint));
    }
}

/// What we listen on: paths and addresses, the admin address first.
pub(super) fn binds(file: &File, reader: &Reader<'_>) -> Vec<(String, SocketAddr)> {
    let admin = [("admin.bind".to_owned(), file.admin.bind)];
    let binds =
        admin.into_iter().chain(listeners(file).map(|(path, listener)| (format!("{path}.bind"), listener.bind)));
    binds.filter(|(path, address)| address.port() != 0 && reader.is_sound(path)).collect()
}

/// Whether the second of two listens would fail. `[::]` takes IPv4 too, as Linux has it by default.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

fn covers(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_unspecified() && (a.is_ipv6() || b.is_ipv4()))
}

/// A backend that is our own listener would send every client round in circles.
fn loops(file: &File, reader: &mut Reader<'_>, ours: &[(String, SocketAddr)]) {
    for (name, pool) in &file.pools {
        for (index, backend) in pool.backends.iter().enumerate() {
            let path = format!("{}.backends[{index}].address", pool_path(name));
            let Some(ip) = backend.address.ip().filter(|_| reader.is_sound(&path)) else { continue };
            let reaches = |bind: &SocketAddr| bind.ip() == ip || (bind.ip().is_unspecified() && ip.is_loopback());
            let own = ours.iter().find(|(_, bind)| bind.port() == backend.address.port && reaches(bind));
            if let Some((listener, _)) = own {
                let found = format!("{}, where pilotfish itself listens ({listener})", backend.address);
                reader.error(&path, found, "the address of a Copilot CLI server", None);
            }
        }
    }
}
