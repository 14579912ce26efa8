//! Whose a session is. The session's own key is the truth; a list for each pool tells it to proxies that start.

use super::{
    Redis,
    names::{DISOWNED, OWNED, news, read, written},
    scripts::{Call, Script},
};
use crate::{
    store::{Key, Recorded, StoreError, Who},
    telemetry::StoreOp,
};

/// How many at a time are listed, about.
const SOME: usize = 512;

impl Redis {
    pub(super) async fn record_owner(&self, key: &Key, who: &Who) -> Result<Recorded, StoreError> {
        let who = written(who);
        let told = news(&[OWNED, &key.pool, &key.session, &who]);
        let arguments = [who.clone(), self.names.channel().to_owned(), told];
        let call = Call::new(Script::Record, [self.names.owner(key)], arguments);
        if self.call::<i64>(StoreOp::Record, call).await? == 0 {
            return Ok(Recorded::Taken);
        }
        // The list is in another slot. If this fails the caller hears of it and records it again.
        let list = self.names.owners(&key.pool);
        let mut command = redis::cmd("HSET");
        command.arg(&list).arg(&*key.session).arg(&who);
        self.command::<i64>(StoreOp::Record, &list, command).await?;
        Ok(Recorded::Ours)
    }

    pub(super) async fn forget_owner(&self, key: &Key, who: Option<&Who>) -> Result<(), StoreError> {
        let told = news(&[DISOWNED, &key.pool, &key.session]);
        let arguments = [self.names.channel().to_owned(), told, who.map(written).unwrap_or_default()];
        let call = Call::new(Script::Disown, [self.names.owner(key)], arguments);
        if self.call::<i64>(StoreOp::Disown, call).await? == 0 {
            return Ok(()); // Somebody else's by now.
        }
        let list = self.names.owners(&key.pool);
        let mut command = redis::cmd("HDEL");
        command.arg(&list).arg(&*key.session);
        self.command::<i64>(StoreOp::Disown, &list, command).await.map(drop)
    }

    pub(super) async fn list_owners(&self, pool: &str, cursor: u64) -> Result<(u64, Vec<(Box<str>, Who)>), StoreError> {
        let list = self.names.owners(pool);
        let mut command = redis::cmd("HSCAN");
        command.arg(&list).arg(cursor).arg("COUNT").arg(SOME);
        let (cursor, some): (u64, Vec<(String, String)>) = self.command(StoreOp::Owners, &list, command).await?;
        Ok((cursor, some.into_iter().map(|(session, who)| (session.into(), read(&who))).collect()))
    }
}
