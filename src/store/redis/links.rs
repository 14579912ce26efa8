//! The connections in use: one to each master, and which slots it has.

use std::{collections::BTreeMap, future::Future, ops::RangeInclusive};

use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use tokio::task::JoinSet;

use super::{
    connect::{Connector, OnPush, Trouble, Wire},
    names::SLOTS,
    scripts::{Call, Script},
};
use crate::store::Address;

/// One master.
#[derive(Clone)]
pub(super) struct Shard {
    wire: Wire,
    /// The watcher's own, so that its questions and ours do not wait for each other.
    probe: Wire,
    address: Address,
    run_id: Box<str>,
    slots: Vec<RangeInclusive<u16>>,
}

/// The processes that answer, by their run id: a new process has a new one.
pub(super) type Identity = BTreeMap<Box<str>, Address>;

/// All masters.
pub(super) struct Links {
    shards: Vec<Shard>,
    hashes: Vec<String>,
}

impl Shard {
    /// Opens a connection, and makes sure that it is a master and knows the scripts; gives their names, too.
    pub async fn open(
        connector: &Connector,
        address: &Address,
        slots: Vec<RangeInclusive<u16>>,
        on_push: OnPush,
    ) -> Result<(Self, Vec<String>), Trouble> {
        let (wire, probe) =
            tokio::try_join!(connector.dial(address, on_push.clone()), connector.dial(address, on_push.clone()))?;
        let mut hello = asks_who();
        for script in Script::ALL {
            hello.cmd("SCRIPT").arg("LOAD").arg(script.text());
        }
        let answers = pipelined(&wire, &hello).await?;
        let run_id = master(answers.get(..2).unwrap_or_default())?;
        let hashes = answers.into_iter().skip(2).map(redis::from_redis_value::<String>);
        let hashes: Result<_, _> = hashes.collect();
        let hashes = hashes.map_err(|_| Trouble::Strange("an answer to SCRIPT LOAD that is no name"))?;
        Ok((Self { wire, probe, address: address.clone(), run_id, slots }, hashes))
    }

    /// Whether it is still the process that it was, and a master; `both`: as seen on each connection.
    async fn check(self, both: bool) -> Result<(), Trouble> {
        if both {
            redis::cmd("PING").exec_async(&mut self.wire.connection.clone()).await?;
        }
        let answers = pipelined(&self.probe, &asks_who()).await?;
        if master(&answers)? == self.run_id { Ok(()) } else { Err(Trouble::Changed) }
    }

    async fn query(&self, command: &redis::Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.wire.connection.clone()).await
    }
}

impl Links {
    /// `shards` with the names of the scripts, which are the same everywhere.
    pub fn new(opened: Vec<(Shard, Vec<String>)>) -> Result<Self, Trouble> {
        let hashes = opened.first().map(|(_, hashes)| hashes.clone()).ok_or(Trouble::NoMaster)?;
        Ok(Self { shards: opened.into_iter().map(|(shard, _)| shard).collect(), hashes })
    }

    /// Which processes they are.
    pub fn identity(&self) -> Identity {
        self.shards.iter().map(|shard| (shard.run_id.clone(), shard.address.clone())).collect()
    }

    /// Where the masters listen.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.shards.iter().map(|shard| &shard.address)
    }

    /// Whether all are still what they were.
    pub async fn check(&self, both: bool) -> Result<(), Trouble> {
        let checks = together(self.shards.iter().cloned().map(|shard| shard.check(both))).await;
        checks.into_iter().try_for_each(|check| check.unwrap_or(Err(Trouble::Strange("a check that was given up"))))
    }

    /// Hears what is published: in a Cluster every node hears everything.
    pub async fn subscribe(&self, channel: &str) -> Result<(), Trouble> {
        let first = self.shards.first().ok_or(Trouble::NoMaster)?;
        Ok(first.wire.connection.clone().subscribe(channel).await?)
    }

    /// Runs one script.
    pub async fn call(&self, slot: u16, call: &Call) -> Result<Value, RedisError> {
        let shard = self.shard(slot)?;
        let hash = self.hashes.get(call.script.index()).map_or("", String::as_str);
        match shard.query(&call.by_hash(hash)).await {
            Err(error) if is_unknown_script(&error) => shard.query(&call.in_full()).await,
            answer => answer,
        }
    }

    /// Runs one command.
    pub async fn command(&self, slot: u16, command: &redis::Cmd) -> Result<Value, RedisError> {
        self.shard(slot)?.query(command).await
    }

    /// Runs many scripts, those of one master in one go. The answers are in the same order.
    pub async fn calls(&self, calls: &[(u16, Call)]) -> Result<Vec<Value>, RedisError> {
        let mut by_shard: BTreeMap<usize, (Pipeline, Vec<usize>)> = BTreeMap::new();
        for (index, (slot, call)) in calls.iter().enumerate() {
            let (pipeline, indexes) = by_shard.entry(self.place(*slot).ok_or_else(no_shard)?).or_default();
            let hash = self.hashes.get(call.script.index()).map_or("", String::as_str);
            pipeline.add_command(call.by_hash(hash));
            indexes.push(index);
        }
        let sent = by_shard.into_iter().filter_map(|(place, (pipeline, indexes))| {
            let wire = self.shards.get(place)?.wire.clone();
            Some(async move { (pipelined(&wire, &pipeline).await, indexes) })
        });
        let mut answers = vec![Value::Nil; calls.len()];
        for (values, indexes) in together(sent).await.into_iter().flatten() {
            for (value, index) in values?.into_iter().zip(indexes) {
                answers[index] = value;
            }
        }
        self.run_unknown(calls, &mut answers).await?;
        Ok(answers)
    }

    /// Those that a Redis answered with "never heard of it" are sent again in full.
    async fn run_unknown(&self, calls: &[(u16, Call)], answers: &mut [Value]) -> Result<(), RedisError> {
        for ((slot, call), answer) in calls.iter().zip(answers) {
            if let Value::ServerError(error) = answer {
                let error = RedisError::from(error.clone());
                if !is_unknown_script(&error) {
                    return Err(error);
                }
                *answer = self.shard(*slot)?.query(&call.in_full()).await?;
            }
        }
        Ok(())
    }

    fn shard(&self, slot: u16) -> Result<&Shard, RedisError> {
        self.place(slot).and_then(|place| self.shards.get(place)).ok_or_else(no_shard)
    }

    fn place(&self, slot: u16) -> Option<usize> {
        self.shards.iter().position(|shard| shard.slots.iter().any(|slots| slots.contains(&slot)))
    }
}

/// Every slot.
pub(super) fn all_slots() -> Vec<RangeInclusive<u16>> {
    vec![0..=SLOTS - 1]
}

/// Waits for all; one that was lost is `None`. Given up together with the caller.
pub(super) async fn together<T: Send + 'static>(
    all: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<Option<T>> {
    let mut running = JoinSet::new();
    let mut done: Vec<Option<T>> = Vec::new();
    for (index, future) in all.into_iter().enumerate() {
        done.push(None);
        running.spawn(async move { (index, future.await) });
    }
    while let Some(joined) = running.join_next().await {
        if let Ok((index, value)) = joined {
            done[index] = Some(value);
        }
    }
    done
}

async fn pipelined(wire: &Wire, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
    wire.connection.clone().send_packed_commands(pipeline, 0, pipeline.len()).await
}

fn asks_who() -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    pipeline
}

/// The run id of a master.
fn master(answers: &[Value]) -> Result<Box<str>, Trouble> {
    let text = |at: usize| -> Result<String, Trouble> {
        let value = answers.get(at).cloned().ok_or(Trouble::Strange("no answer to INFO"))?;
        match value {
            Value::ServerError(error) => Err(Trouble::Redis(error.into())),
            value => redis::from_redis_value(value).map_err(|_| Trouble::Strange("an answer to INFO that is no text")),
        }
    };
    let (server, replication) = (text(0)?, text(1)?);
    if field(&replication, "role:") != Some("master") {
        return Err(Trouble::Demoted);
    }
    Ok(field(&server, "run_id:").ok_or(Trouble::Strange("no run_id in INFO"))?.into())
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn no_shard() -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, "no node has the slot"))
}
