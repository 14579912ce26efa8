//! Finds the masters behind the addresses.

use std::{ops::RangeInclusive, sync::Arc};

use redis::Value;

use super::{
    connect::{Connector, OnPush, Trouble},
    links::{Links, Shard, all_slots, together},
    names::SLOTS,
    sentinels::Sentinels,
    settings::{RedisSettings, Topology},
};
use crate::store::Address;

type Ranges = Vec<RangeInclusive<u16>>;

/// Finds masters.
pub(super) struct Finder {
    connector: Arc<Connector>,
    way: Way,
    on_push: OnPush,
}

enum Way {
    Single(Vec<Address>),
    Sentinel(Sentinels),
    Cluster {
        seeds: Vec<Address>,
        /// Masters of the last time: the seeds may be gone by now.
        known: Vec<Address>,
    },
}

impl Finder {
    pub fn new(settings: &RedisSettings, connector: Arc<Connector>, on_push: OnPush) -> Self {
        let addresses = settings.addresses.clone();
        let way = match &settings.topology {
            Topology::Single => Way::Single(addresses),
            Topology::Sentinel { master } => Way::Sentinel(Sentinels::new(addresses, master, connector.clone())),
            Topology::Cluster => Way::Cluster { seeds: addresses, known: Vec::new() },
        };
        Self { connector, way, on_push }
    }

    /// Connects to all masters.
    pub async fn find(&mut self) -> Result<Links, Trouble> {
        let dial = Dial { connector: self.connector.clone(), on_push: self.on_push.clone() };
        let links = match &mut self.way {
            Way::Single(addresses) => dial.first_master(addresses).await?,
            Way::Sentinel(sentinels) => {
                let address = sentinels.master().await.ok_or(Trouble::NoMaster)?;
                Links::new(vec![dial.shard(address, all_slots()).await?])?
            }
            Way::Cluster { seeds, known } => {
                let links = dial.cluster(seeds.iter().chain(&*known)).await?;
                *known = links.addresses().cloned().collect();
                links
            }
        };
        Ok(links)
    }

    /// Whether the Sentinels name another master by now. A master that they gave up may go on answering us.
    pub fn is_passed_over(&self, links: &Links) -> bool {
        match &self.way {
            Way::Sentinel(sentinels) => {
                sentinels.view().is_some_and(|master| links.addresses().all(|address| *address != master))
            }
            Way::Single(_) | Way::Cluster { .. } => false,
        }
    }
}

#[derive(Clone)]
struct Dial {
    connector: Arc<Connector>,
    on_push: OnPush,
}

impl Dial {
    async fn shard(self, address: Address, slots: Ranges) -> Result<(Shard, Vec<String>), Trouble> {
        Shard::open(&self.connector, &address, slots, self.on_push).await
    }

    /// All are tried at a time, so that a dead one costs nothing; the first in the list that is a master is used.
    async fn first_master(&self, addresses: &[Address]) -> Result<Links, Trouble> {
        let tries = together(addresses.iter().map(|address| self.clone().timed_shard(address.clone()))).await;
        let mut last = Trouble::NoMaster;
        for tried in tries.into_iter().flatten() {
            match tried {
                Ok(shard) => return Links::new(vec![shard]),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    async fn timed_shard(self, address: Address) -> Result<(Shard, Vec<String>), Trouble> {
        within(self.shard(address, all_slots())).await
    }

    async fn cluster(&self, nodes: impl Iterator<Item = &Address>) -> Result<Links, Trouble> {
        let maps = together(nodes.map(|node| within(self.clone().slots(node.clone())))).await;
        let mut last = Trouble::NoMaster;
        for map in maps.into_iter().flatten() {
            match map {
                Ok(map) => {
                    let masters = map.into_iter().map(|(address, slots)| self.clone().shard(address, slots));
                    let opened = together(masters).await.into_iter();
                    let opened = opened.map(|shard| shard.unwrap_or(Err(Trouble::NoMaster)));
                    return Links::new(opened.collect::<Result<_, _>>()?);
                }
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// Which master has which slots, as `node` knows it.
    async fn slots(self, node: Address) -> Result<Vec<(Address, Ranges)>, Trouble> {
        let wire = self.connector.dial(&node, Arc::new(|_| ())).await?;
        let asked = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut wire.connection.clone()).await?;
        let masters = masters(&asked, &node, self.connector.is_tls(&node));
        let masters = masters.ok_or(Trouble::Strange("an answer to CLUSTER SLOTS that is not understood"))?;
        let covered: usize = masters.iter().flat_map(|(_, slots)| slots).map(|slots| slots.len()).sum();
        if covered == usize::from(SLOTS) { Ok(masters) } else { Err(Trouble::Strange("slots that no node has")) }
    }
}

/// A node that does not answer keeps the others' answers waiting no longer than this.
async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(super::watch::ATTEMPT / 2, work).await.unwrap_or(Err(Trouble::Late))
}

/// `[[from, to, [host, port, ...], replica...], ...]`
fn masters(value: &Value, asked: &Address, tls: bool) -> Option<Vec<(Address, Ranges)>> {
    let Value::Array(rows) = value else { return None };
    let mut masters: Vec<(Address, Ranges)> = Vec::new();
    for row in rows {
        let Value::Array(row) = row else { return None };
        let [Value::Int(from), Value::Int(to), Value::Array(node), ..] = &row[..] else { return None };
        let [host, Value::Int(port), ..] = &node[..] else { return None };
        let host: Option<String> = redis::from_redis_value(host.clone()).ok()?;
        // A node that does not know its own name is where it was asked.
        let host = host.filter(|host| !host.is_empty() && host != "?");
        let host = host.or_else(|| match asked {
            Address::Tcp { host, .. } => Some(host.to_string()),
            Address::Unix(_) => None,
        })?;
        let address = Address::tcp(&host, u16::try_from(*port).ok()?, tls);
        let slots = u16::try_from(*from).ok()?..=u16::try_from(*to).ok()?;
        match masters.iter_mut().find(|(known, _)| *known == address) {
            Some((_, ranges)) => ranges.push(slots),
            None => masters.push((address, vec![slots])),
        }
    }
    Some(masters)
}
