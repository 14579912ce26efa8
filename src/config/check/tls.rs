//! TLS: files that can be read and belong together, and keys that need or exclude each other.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{listeners, pool_path, tenants};
use crate::{
    config::{
        kind::quote,
        reader::Reader,
        schema::{BackendTls, ClientAuth, File, ListenerTls, Mode, Pool},
    },
    tls::{ClientMaterial, MaterialError, Name, ServerMaterial, authorities, chain, client_config, key, server_config},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (path, listener) in listeners(file) {
        let path = format!("{path}.tls");
        if let Some(tls) = listener.tls.as_ref().filter(|_| reader.is_sound(&path)) {
            client_auth(reader, &path, tls);
            server_files(reader, &path, tls);
        }
    }
    for (name, pool) in &file.pools {
        let path = format!("{}.tls", pool_path(name));
        if let Some(tls) = pool.tls.as_ref().filter(|_| reader.is_sound(&path)) {
            backends(reader, &path, tls, pool);
            client_files(reader, &path, tls);
        }
    }
}

/// Names of certificates: each is one tenant's, and somebody has to ask for certificates.
pub(super) fn certificates(file: &File, reader: &mut Reader<'_>) {
    let mut seen: BTreeMap<&Name, String> = BTreeMap::new();
    let mut first = None;
    for (path, tenant) in tenants(file, reader) {
        for (index, name) in tenant.certificates.iter().enumerate() {
            let key = format!("{path}.certificates[{index}]");
            if !reader.is_sound(&key) {
                continue;
            }
            first.get_or_insert_with(|| format!("{path}.certificates"));
            match seen.get(name) {
                Some(other) => {
                    let found = format!("{}, which stands at {other} too", quote(&name.to_string()));
                    reader.error(&key, found, "a name of its own", None);
                }
                None => drop(seen.insert(name, key)),
            }
        }
    }
    let asks = |tls: &ListenerTls| tls.client_auth() != ClientAuth::Off;
    let asked = listeners(file).any(|(_, set)| set.mode == Mode::Session && set.tls.as_ref().is_some_and(asks));
    if let Some(key) = first.filter(|key| !asked && reader.is_sound(key)) {
        let hint = "no listener asks for certificates: add `tls` with a `client_ca` to one".to_owned();
        reader.warn(&key, "names of certificates", "a listener that asks for certificates", Some(hint));
    }
}

fn client_auth(reader: &mut Reader<'_>, path: &str, tls: &ListenerTls) {
    let (auth, authorities) = (format!("{path}.client_auth"), format!("{path}.client_ca"));
    if !reader.is_sound(&auth) || !reader.is_sound(&authorities) {
        return;
    }
    match (tls.client_auth(), &tls.client_ca) {
        (ClientAuth::Off, Some(_)) => {
            reader.error(
                &authorities,
                "a file for the certificates of clients",
                "another `client_auth` than \"off\"",
                None,
            );
        }
        (ClientAuth::Optional | ClientAuth::Required, None) => {
            reader.error(
                &auth,
                "no `client_ca` beside it",
                "a file with who may have signed clients' certificates",
                None,
            );
        }
        _ => {}
    }
}

fn backends(reader: &mut Reader<'_>, path: &str, tls: &BackendTls, pool: &Pool) {
    if pool.supervise.is_some() {
        let hint = "they are on this machine and speak no TLS".to_owned();
        reader.error(path, "TLS towards CLIs that pilotfish starts", "`backends` or `discovery`", Some(hint));
    }
    let pair = [("cert", tls.cert.is_some(), "key"), ("key", tls.key.is_some(), "cert")];
    for (name, set, other) in pair {
        let key = format!("{path}.{name}");
        if set && !reader.is_set(&format!("{path}.{other}")) && reader.is_sound(&key) {
            reader.error(&key, format!("no `{other}` beside it"), format!("`{name}` and `{other}`, or neither"), None);
        }
    }
    for (index, backend) in pool.backends.iter().enumerate() {
        if backend.address.host().is_none()
            && tls.server_name.is_none()
            && reader.is_sound(&format!("{path}.server_name"))
        {
            let found = format!("nothing, and {} has no host", backend.address);
            let hint = format!("backends[{index}] is a Unix socket");
            reader.error(&format!("{path}.server_name"), found, "the name that its certificate is for", Some(hint));
        }
    }
}

fn server_files(reader: &mut Reader<'_>, path: &str, tls: &ListenerTls) {
    let certificate = read(reader, &format!("{path}.cert"), &tls.cert, |pem| chain(pem).map(drop));
    let own = read(reader, &format!("{path}.key"), &tls.key, |pem| key(pem).map(drop));
    let signers = tls.client_ca.as_ref();
    let signers =
        signers.map(|file| read(reader, &format!("{path}.client_ca"), file, |pem| authorities(pem).map(drop)));
    private(reader, &format!("{path}.key"), &tls.key);
    let (Some(certificate), Some(own), None | Some(Some(_))) = (certificate, own, &signers) else { return };
    let material = ServerMaterial {
        certificate: &certificate,
        key: &own,
        client_authorities: None,
        client_auth: crate::tls::ClientAuth::Off,
    };
    if let Err(error) = server_config(&material) {
        reader.error(&format!("{path}.key"), error.to_string(), "the key of `cert`", None);
    }
}

fn client_files(reader: &mut Reader<'_>, path: &str, tls: &BackendTls) {
    if let Some(file) = &tls.ca {
        read(reader, &format!("{path}.ca"), file, |pem| authorities(pem).map(drop));
    }
    let (Some(certificate), Some(own)) = (&tls.cert, &tls.key) else { return };
    private(reader, &format!("{path}.key"), own);
    let certificate = read(reader, &format!("{path}.cert"), certificate, |pem| chain(pem).map(drop));
    let own = read(reader, &format!("{path}.key"), own, |pem| key(pem).map(drop));
    let (Some(certificate), Some(own)) = (certificate, own) else { return };
    let material = ClientMaterial { authorities: None, system: &[], identity: Some((&certificate, &own)) };
    if let Err(error) = client_config(&material) {
        reader.error(&format!("{path}.key"), error.to_string(), "the key of `cert`", None);
    }
}

fn read(
    reader: &mut Reader<'_>,
    key: &str,
    file: &PathBuf,
    look: impl Fn(&[u8]) -> Result<(), MaterialError>,
) -> Option<Vec<u8>> {
    if !reader.is_sound(key) {
        return None;
    }
    let wrong = match fs::read(file) {
        Err(error) => error.to_string(),
        Ok(text) => match look(&text) {
            Ok(()) => return Some(text),
            Err(error) => error.to_string(),
        },
    };
    reader.error(key, format!("{}: {wrong}", quote(&file.display().to_string())), "a file in PEM", None);
    None
}

/// Whoever reads the key can be us.
fn private(reader: &mut Reader<'_>, key: &str, file: &Path) {
    let Ok(about) = fs::metadata(file) else { return };
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o004 != 0 && reader.is_sound(key) {
        let found = format!("a file that everybody on this machine may read (mode {mode:04o})");
        reader.warn(key, found, "mode 0600 or 0640", None);
    }
}
