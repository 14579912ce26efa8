//! Addresses that we listen on: no two alike, and none of them a backend.

use std::net::{IpAddr, SocketAddr};

use super::{listeners, pool_path};
use crate::{
    config::{reader::Reader, schema::File},
    model::Endpoint,
};

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
    paths(file, reader);
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
    let listens = listeners(file).filter_map(|(path, listener)| Some((format!("{path}.bind"), listener.bind.tcp()?)));
    let binds = admin.into_iter().chain(listens);
    binds.filter(|(path, address)| address.port() != 0 && reader.is_sound(path)).collect()
}

/// Whether the second of two listens would fail. `[::]` takes IPv4 too, as Linux has it by default.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

fn covers(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_unspecified() && (a.is_ipv6() || b.is_ipv4()))
}

/// Sockets that we listen at, with their paths in the file.
fn sockets(file: &File) -> impl Iterator<Item = (String, &Endpoint)> {
    let named = listeners(file).map(|(path, listener)| (format!("{path}.bind"), &listener.bind));
    named.filter(|(_, bind)| bind.tcp().is_none())
}

/// The second of two listeners at one path would not start.
fn paths(file: &File, reader: &mut Reader<'_>) {
    let all: Vec<_> = sockets(file).collect();
    for (index, (path, bind)) in all.iter().enumerate() {
        if let Some((first, _)) = all[..index].iter().find(|(_, other)| other == bind).filter(|_| reader.is_sound(path))
        {
            reader.error(path, format!("{bind}, which is taken by {first}"), "a path of its own", None);
        }
    }
    for (path, listener) in listeners(file) {
        let key = format!("{path}.socket_mode");
        if listener.bind.tcp().is_some() && reader.is_set(&key) && reader.is_sound(&format!("{path}.bind")) {
            reader.warn(&key, "permissions of a port", "`bind` with the path of a socket beside it", None);
        }
    }
}

/// A backend that is our own listener would send every client round in circles.
fn loops(file: &File, reader: &mut Reader<'_>, ours: &[(String, SocketAddr)]) {
    for (name, pool) in &file.pools {
        for (index, backend) in pool.backends.iter().enumerate() {
            let path = format!("{}.backends[{index}].address", pool_path(name));
            let Some(endpoint) = backend.address.endpoint().filter(|_| reader.is_sound(&path)) else { continue };
            let own = match endpoint.tcp() {
                None => sockets(file).find(|(_, socket)| **socket == endpoint).map(|(listener, _)| listener),
                Some(to) => ours.iter().find(|(_, bind)| reaches(to, *bind)).map(|(listener, _)| listener.clone()),
            };
            if let Some(listener) = own {
                let found = format!("{}, where pilotfish itself listens ({listener})", backend.address);
                reader.error(&path, found, "the address of a Copilot CLI server", None);
            }
        }
    }
}

fn reaches(to: SocketAddr, bind: SocketAddr) -> bool {
    let same = bind.ip() == to.ip() || (bind.ip().is_unspecified() && to.ip().is_loopback());
    same && bind.port() == to.port()
}
