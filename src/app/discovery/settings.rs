//! The config's words for where backends are found.

use std::sync::Arc;

use super::DiscoverySettings;
use crate::{
    backend::discovery::{Dns, DnsSettings, Found, ListFile, Records, RosterSettings, Source},
    config,
};

/// How the backends of a pool are found, and the words for it; `None` if they are fixed.
pub(in crate::app) fn of(pool: &config::Pool) -> Option<(Source, DiscoverySettings, String)> {
    let set = pool.discovery.as_ref()?;
    let (source, words) = source(set);
    let roster = RosterSettings { keep_empty: set.keep_empty, removal_delay: set.removal_delay };
    Some((source, DiscoverySettings { roster, resolve_interval: pool.resolve_interval }, words))
}

fn source(set: &config::Discovery) -> (Source, String) {
    if let Some(path) = &set.file {
        let name = path.display().to_string();
        let words = format!("file {name}");
        let parse = move |text: &str| match config::parse_backends(text, &name) {
            Ok(backends) => Ok(backends.iter().map(found).collect()),
            Err(problems) => Err(one_line(&problems)),
        };
        return (Source::File(ListFile::new(path.clone(), Arc::new(parse))), words);
    }
    let name = set.dns.clone().unwrap_or_default();
    let (records, words) = match (set.records(), set.port) {
        (config::Records::Srv, _) => (Records::Srv, format!("dns {name} SRV")),
        (config::Records::A, port) => (Records::Address(port.unwrap_or_default()), format!("dns {name}")),
    };
    let settings = DnsSettings {
        name,
        records,
        resolvers: set.resolvers.clone(),
        min_ttl: set.min_ttl,
        max_ttl: set.max_ttl,
        timeout: set.timeout,
        weight: set.weight,
    };
    (Source::Dns(Box::new(Dns::new(settings))), words)
}

/// For the log, which is read by lines.
fn one_line(problems: &config::Problems) -> String {
    let all: Vec<_> = problems.errors.iter().map(ToString::to_string).collect();
    all.join("; ")
}

fn found(backend: &config::Backend) -> Found {
    let address = backend.address.endpoint();
    Found {
        name: backend.name.as_str().into(),
        host: address.is_none().then(|| backend.address.to_string().into()),
        addresses: address.into_iter().collect(),
        server: backend.address.host().map(Into::into),
        weight: backend.weight,
        drain: backend.drains(),
    }
}
