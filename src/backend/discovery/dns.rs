//! A source: a name in DNS.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use super::{
    Answer, Fault, Found, Said, names,
    names::Targets,
    servers::{Lack, Servers},
};
use crate::model::Endpoint;

/// So long an address is not used whose name the servers fail to tell: with another name it would stand elsewhere.
const UNNAMED: Duration = Duration::from_secs(5);

/// So many questions at once.
const AT_ONCE: usize = 16;

/// The part of the time for an answer that one question may take: there are two rounds of them.
const ROUND: f32 = 0.45;

/// More backends than that are no answer.
const MOST: usize = 2000;

/// Which records tell of backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// A and AAAA records, with this port.
    Address(u16),
    /// SRV records.
    Srv,
}

/// How a name is looked up.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// The name.
    pub name: String,
    /// What is looked up.
    pub records: Records,
    /// Who is asked; empty: as the system says.
    pub resolvers: Vec<SocketAddr>,
    /// An answer is taken for at least so long.
    pub min_ttl: Duration,
    /// An answer is taken for at most so long.
    pub max_ttl: Duration,
    /// For all questions of one answer.
    pub timeout: Duration,
    /// The share of placements of each backend.
    pub weight: u32,
}

/// A name in DNS.
pub struct Dns {
    settings: DnsSettings,
    servers: Option<Arc<Servers>>,
    /// The last good addresses of a name, of each family.
    known: HashMap<(Name, RecordType), Vec<IpAddr>>,
    /// What addresses are called, and until when that is taken.
    called: HashMap<IpAddr, (Option<String>, Instant)>,
    /// Since when addresses have no name because of a failure.
    unnamed: HashMap<IpAddr, Instant>,
    targets: Targets,
}

/// Addresses, and how long they are good.
struct Addresses {
    all: Vec<IpAddr>,
    ttl: Duration,
}

/// What is asked, and what was answered.
type Question = (Name, RecordType);
type Replies = HashMap<Question, Result<Vec<Record>, Lack>>;
type Looked = Result<(Vec<Found>, Duration), Lack>;

impl Dns {
    /// Nothing is known yet.
    pub fn new(settings: DnsSettings) -> Self {
        Self {
            settings,
            servers: None,
            known: HashMap::new(),
            called: HashMap::new(),
            unnamed: HashMap::new(),
            targets: Targets::default(),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&mut self) -> Answer {
        let (timeout, min, max) = (self.settings.timeout, self.settings.min_ttl, self.settings.max_ttl);
        let looked = time::timeout(timeout, self.look()).await;
        match looked.unwrap_or(Err(Lack::Failed(Fault::Timeout))) {
            Ok((found, ttl)) => Answer { said: Said::Backends(found), again: ttl.min(max).max(min) },
            Err(Lack::Nothing(fault)) => Answer { said: Said::Nothing(fault), again: min },
            Err(Lack::Failed(fault)) => {
                // What the system says of name servers may be what is wrong.
                self.servers = None;
                Answer { said: Said::Failed(fault), again: min }
            }
        }
    }

    async fn look(&mut self) -> Result<(Vec<Found>, Duration), Lack> {
        let servers = match &self.servers {
            Some(servers) => servers.clone(),
            None => {
                let opened = Servers::open(&self.settings.resolvers, self.round()).map_err(Lack::Failed)?;
                self.servers.insert(Arc::new(opened)).clone()
            }
        };
        let candidates = servers.candidates(&self.settings.name).map_err(Lack::Failed)?;
        let mut last = Lack::Nothing(Fault::NoName);
        for name in candidates {
            let found = match self.settings.records {
                Records::Address(port) => self.by_address(&servers, &name, port).await,
                Records::Srv => self.by_service(&servers, &name).await,
            };
            match found {
                // Only where it is known that there is nothing the next meaning of the name is right.
                Err(Lack::Nothing(fault)) => last = Lack::Nothing(fault),
                other => return other,
            }
        }
        Err(last)
    }

    async fn by_address(&mut self, servers: &Arc<Servers>, name: &Name, port: u16) -> Looked {
        let mut replies = ask_all(servers, questions([name]), self.round()).await;
        let Addresses { all, ttl } = self.settle(name, &mut replies)?;
        let called = self.call(servers, name, &all).await;
        let mut found: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        let four = all.iter().any(IpAddr::is_ipv4);
        for address in all {
            let name = match called.get(&address) {
                // Its name is not known now.
                None => continue,
                // Without names a server with addresses of both kinds would count twice.
                Some(None) if four && address.is_ipv6() => continue,
                Some(None) => names::address_itself(address),
                Some(Some(name)) => name.clone(),
            };
            found.entry(name).or_default().push((address, port).into());
        }
        if found.is_empty() {
            return Err(Lack::Failed(Fault::Broken("the name servers do not tell the names of the addresses".into())));
        }
        let found = found.into_iter().map(|(name, addresses)| self.found(name, addresses, &self.settings.name));
        let patient = if self.unnamed.is_empty() { ttl } else { Duration::ZERO };
        Ok((found.collect(), patient))
    }

    async fn by_service(&mut self, servers: &Arc<Servers>, name: &Name) -> Looked {
        let records = servers.ask(name, RecordType::SRV).await?;
        let mut ttl = shortest(&records);
        let records = records.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) if !srv.target.is_root() => Some(srv),
            _ => None,
        });
        let records: Vec<_> = records.collect();
        let Some(first) = records.iter().map(|srv| srv.priority).min() else { return Err(Lack::Nothing(Fault::Empty)) };
        let records = records.into_iter().filter(|srv| srv.priority == first);
        let targets: BTreeSet<(Name, u16)> = records.map(|srv| (srv.target.to_lowercase(), srv.port)).collect();
        let targets: Vec<_> = targets.into_iter().take(MOST).collect();
        let texts: Vec<_> = targets.iter().map(|(host, port)| (host.to_ascii(), *port)).collect();
        let named = self.targets.name(&texts, &names::domain_of(&name.to_ascii()));
        let hosts: BTreeSet<&Name> = targets.iter().map(|(host, _)| host).collect();
        self.known.retain(|(known, _), _| hosts.contains(known));
        let mut replies = ask_all(servers, questions(hosts.iter().copied()), self.round()).await;
        let mut at: HashMap<&Name, Vec<IpAddr>> = HashMap::new();
        for host in hosts {
            match self.settle(host, &mut replies) {
                Ok(Addresses { all, ttl: own }) => {
                    ttl = ttl.min(own);
                    at.insert(host, all);
                }
                // The service names it all the same: where it listened last has to do, if it is known.
                Err(_) => ttl = Duration::ZERO,
            }
        }
        let found = targets.iter().zip(named).map(|((host, port), name)| {
            let addresses = at.get(host).into_iter().flatten().map(|ip| SocketAddr::from((*ip, *port)));
            self.found(name, addresses.collect(), &host.to_ascii())
        });
        Ok((found.collect(), ttl))
    }

    fn round(&self) -> Duration {
        self.settings.timeout.mul_f32(ROUND)
    }

    fn found(&self, name: String, addresses: Vec<SocketAddr>, server: &str) -> Found {
        let server = server.strip_suffix('.').unwrap_or(server);
        let addresses = addresses.into_iter().map(Endpoint::Tcp).collect();
        Found {
            name: name.into(),
            addresses,
            host: None,
            server: Some(server.into()),
            weight: self.settings.weight,
            drain: false,
        }
    }

    /// The addresses of `name`, IPv4 first. A family that cannot be asked for is what it was.
    fn settle(&mut self, name: &Name, replies: &mut Replies) -> Result<Addresses, Lack> {
        let (mut all, mut ttl, mut fault, mut failure) = (Vec::new(), None::<Duration>, Fault::NoName, None);
        for key in questions([name]) {
            match replies.remove(&key).unwrap_or(Err(Lack::Failed(Fault::Timeout))) {
                Ok(records) => {
                    let own = shortest(&records);
                    ttl = Some(ttl.map_or(own, |ttl| ttl.min(own)));
                    let mut found: Vec<IpAddr> = records.iter().filter_map(address_of).collect();
                    found.sort();
                    found.dedup();
                    found.truncate(MOST);
                    all.extend(found.iter().copied());
                    self.known.insert(key, found);
                }
                Err(Lack::Nothing(nothing)) => {
                    self.known.remove(&key);
                    if nothing == Fault::Empty {
                        fault = nothing;
                    }
                }
                Err(Lack::Failed(why)) => {
                    failure = Some(why);
                    all.extend(self.known.get(&key).into_iter().flatten().copied());
                }
            }
        }
        match (ttl, failure) {
            (None, Some(why)) => Err(Lack::Failed(why)),
            (None, None) => Err(Lack::Nothing(fault)),
            (Some(_), Some(_)) => Ok(Addresses { all, ttl: Duration::ZERO }),
            (Some(ttl), None) => Ok(Addresses { all, ttl }),
        }
    }

    /// What the addresses are called; one that is left out should be called something, but the servers fail to say what.
    async fn call(&mut self, servers: &Arc<Servers>, zone: &Name, all: &[IpAddr]) -> HashMap<IpAddr, Option<String>> {
        let now = Instant::now();
        self.called.retain(|address, _| all.contains(address));
        self.unnamed.retain(|address, _| all.contains(address));
        let due = all.iter().filter(|address| self.called.get(address).is_none_or(|(_, until)| *until <= now));
        let due: HashMap<Question, IpAddr> =
            due.map(|address| ((Name::from(*address), RecordType::PTR), *address)).collect();
        let zones = [zone.to_ascii()];
        let (min, max) = (self.settings.min_ttl, self.settings.max_ttl);
        let mut replies = ask_all(servers, due.keys().cloned().collect(), self.round()).await;
        for (question, address) in due {
            let reply = replies.remove(&question).unwrap_or(Err(Lack::Failed(Fault::Timeout)));
            let until = |ttl: Duration| now + ttl.min(max).max(min);
            let said = match reply {
                Ok(records) => {
                    let told = records.iter().filter_map(|record| match &record.data {
                        RData::PTR(name) => Some(name.0.to_ascii()),
                        _ => None,
                    });
                    let told: Vec<String> = told.collect();
                    Some((names::of_address(told.iter().map(String::as_str), &zones), until(shortest(&records))))
                }
                Err(Lack::Nothing(_)) => Some((None, until(min))),
                // As long as nothing else is known it is called as it was.
                Err(Lack::Failed(_)) if self.called.contains_key(&address) => None,
                Err(Lack::Failed(_)) => {
                    let since = *self.unnamed.entry(address).or_insert(now);
                    (now.saturating_duration_since(since) >= UNNAMED).then_some((None, now))
                }
            };
            if let Some(said) = said {
                self.unnamed.remove(&address);
                self.called.insert(address, said);
            }
        }
        self.called.iter().map(|(address, (name, _))| (*address, name.clone())).collect()
    }
}

/// The questions for the addresses of `names`.
fn questions<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<Question> {
    let kinds = [RecordType::A, RecordType::AAAA];
    names.into_iter().flat_map(|name| kinds.map(|kind| (name.clone(), kind))).collect()
}

/// Asks all of them, some at a time. Those that take longer than `limit` are left out.
async fn ask_all(servers: &Arc<Servers>, asked: Vec<Question>, limit: Duration) -> Replies {
    let until = Instant::now() + limit;
    let (mut asked, mut running, mut replies) = (asked.into_iter(), JoinSet::new(), Replies::new());
    loop {
        while running.len() < AT_ONCE {
            let Some(question) = asked.next() else { break };
            let servers = servers.clone();
            running.spawn(async move {
                let reply = servers.ask(&question.0, question.1).await;
                (question, reply)
            });
        }
        match time::timeout_at(until, running.join_next()).await {
            Ok(Some(Ok((question, reply)))) => drop(replies.insert(question, reply)),
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => return replies,
        }
    }
}

fn address_of(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn shortest(records: &[Record]) -> Duration {
    let ttl = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(ttl.unwrap_or(0).into())
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("settings", &self.settings).finish_non_exhaustive()
    }
}
