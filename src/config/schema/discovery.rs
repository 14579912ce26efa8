//! `[pool.NAME.discovery]`: backends that are found while pilotfish runs.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{Backend, HOUR, ZERO, ms};
use crate::config::{
    kind::{choice, count, dns_name, dns_server, duration, list, list_of, one_of, optional, path},
    section::section,
};

section! {
    /// Where the backends of the pool are found, instead of `backends`: by name servers, or in a file that may change.
    pub struct Discovery {
        /// The name that name servers know, such as that of a headless service.
        pub dns: Option<String> = optional(dns_name()), absent("\"copilot-cli.default.svc\"");
        /// The port of the backends. SRV records say it themselves.
        pub port: Option<u16> = optional(count::<u16>(1, 65_535)), absent("4321");
        /// What is looked up. Without it: "srv" for a name that begins with `_`, else "a".
        pub records: Option<Records> = optional(one_of::<Records>()), absent("\"a\"");
        /// The name servers that are asked, and then for the name as it stands. Without them: as /etc/resolv.conf says.
        pub resolvers: Vec<SocketAddr> = list(dns_server()), value("[]");
        /// An answer is taken for no shorter time than this, whatever its TTL; after a failure it is asked again after so long.
        pub min_ttl: Duration = duration(ms(50), HOUR), text("1s");
        /// An answer is taken for no longer time than this, whatever its TTL.
        pub max_ttl: Duration = duration(ms(50), HOUR), text("5m");
        /// How long all that belongs to one answer may take.
        pub timeout: Duration = duration(ms(50), HOUR), text("5s");
        /// How long it is not believed that there is no backend at all. Failures are never taken for that.
        pub keep_empty: Duration = duration(ZERO, HOUR), text("30s");
        /// How long answers have to leave a backend out before it is drained. For name servers that tell only some of them.
        pub removal_delay: Duration = duration(ZERO, HOUR), text("0s");
        /// The share of the sessions of each backend that DNS finds.
        pub weight: u32 = count::<u32>(1, 1000), value("1");
        /// A TOML file with a table [[backend]] for each of them, with the keys of `backends`. It is read again when it changes.
        pub file: Option<PathBuf> = optional(path()), absent("\"backends.toml\"");
    }
}

impl Discovery {
    /// What is looked up.
    pub fn records(&self) -> Records {
        let service = self.dns.as_ref().is_some_and(|name| name.starts_with('_'));
        self.records.unwrap_or(if service { Records::Srv } else { Records::A })
    }
}

choice! {
    /// Which records tell of backends.
    pub enum Records {
        /// A and AAAA records; names are those that the addresses have below the name (PTR records), else the addresses
        A = "a",
        /// SRV records, which say names and ports
        Srv = "srv",
    }
}

section! {
    /// A file of backends.
    pub struct BackendsFile {
        /// The backends.
        pub backends as "backend": Vec<Backend> = list_of::<Backend>(), value("[]");
    }
}
