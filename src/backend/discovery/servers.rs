//! How name servers are asked. hickory's own resolver would search on after a failure, so that a server's bad hour looks like
//! a name that is gone, and answers for 127.0.0.0/8 itself: so its pool of servers is asked directly.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    NameServerPool, PoolContext, TlsConfig,
    config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts},
    net::{DnsError, DnsHandle, NetError, NoRecords, runtime::TokioRuntimeProvider, xfer::FirstAnswer as _},
    proto::{
        op::{DnsRequestOptions, Query, ResponseCode},
        rr::{Name, RData, Record, RecordType},
    },
    system_conf,
};

use super::Fault;

/// So many names may stand for another one, one after the other.
const ALIASES: usize = 8;

/// The name servers of one pool.
pub(super) struct Servers {
    pool: NameServerPool<TokioRuntimeProvider>,
    search: Vec<Name>,
    ndots: usize,
}

/// Why they answered nothing.
#[derive(Clone, Debug)]
pub(super) enum Lack {
    /// There is nothing.
    Nothing(Fault),
    /// It is not known.
    Failed(Fault),
}

impl Servers {
    /// Those at `addresses`, or the system's.
    pub fn open(addresses: &[SocketAddr], timeout: Duration) -> Result<Self, Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::Broken(error.to_string());
        let (configs, search, options) = if addresses.is_empty() {
            let read = system_conf::read_system_conf();
            let (config, options) = read.map_err(|error| Fault::Broken(format!("/etc/resolv.conf: {error}")))?;
            let (domain, search, servers) = config.into_parts();
            let search = if search.is_empty() { domain.into_iter().collect() } else { search };
            (servers, search, options)
        } else {
            (addresses.iter().map(|address| server(*address)).collect(), Vec::new(), ResolverOpts::default())
        };
        let (ndots, mut options) = (options.ndots, options);
        options.timeout = timeout;
        let tls = TlsConfig::new().map_err(|error| broken(&error))?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(configs, context, TokioRuntimeProvider::default());
        Ok(Self { pool, search, ndots })
    }

    /// The names that `name` may mean, in order.
    pub fn candidates(&self, name: &str) -> Result<Vec<Name>, Fault> {
        let name = Name::from_str_relaxed(name).map_err(|error| Fault::Broken(format!("{name}: {error}")))?;
        if name.is_fqdn() {
            return Ok(vec![name]);
        }
        let mut itself = name.clone();
        itself.set_fqdn(true);
        let mut all: Vec<Name> = self.search.iter().filter_map(|zone| name.clone().append_domain(zone).ok()).collect();
        all.iter_mut().for_each(|name| name.set_fqdn(true));
        let first = if usize::from(name.num_labels()) > self.ndots { 0 } else { all.len() };
        all.insert(first, itself);
        Ok(all)
    }

    /// The records of `name` of one kind, and of whatever it stands for.
    pub async fn ask(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, Lack> {
        let mut asked = name.clone();
        for _ in 0..ALIASES {
            let mut options = DnsRequestOptions::default();
            options.use_edns = true;
            let response = self.pool.lookup(Query::query(asked.clone(), kind), options).first_answer().await;
            let response = response.and_then(|response| Ok(DnsError::from_response(response)?)).map_err(lack)?;
            let message = response.into_message();
            let alias = message.answers.iter().rev().find_map(|record| match &record.data {
                RData::CNAME(alias) => Some(alias.0.clone()),
                _ => None,
            });
            let records: Vec<Record> =
                message.answers.into_iter().filter(|record| record.record_type() == kind).collect();
            match alias {
                _ if !records.is_empty() => return Ok(records),
                Some(alias) => asked = alias,
                None => return Err(Lack::Nothing(Fault::Empty)),
            }
        }
        Err(Lack::Failed(Fault::Broken(format!("{name} stands for {asked}, and that for others without end"))))
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

fn lack(error: NetError) -> Lack {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
            ResponseCode::NXDomain => Lack::Nothing(Fault::NoName),
            ResponseCode::NoError => Lack::Nothing(Fault::Empty),
            code => Lack::Failed(Fault::Refused(code.to_string())),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Lack::Failed(Fault::Refused(code.to_string())),
        NetError::Timeout => Lack::Failed(Fault::Timeout),
        other => Lack::Failed(Fault::Broken(other.to_string())),
    }
}
