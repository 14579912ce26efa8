//! Whose turn it is in a session, and who waits for it.

use std::time::{Duration, Instant};

use redis::Value;

use super::{
    Redis,
    names::{FREE, news},
    scripts::{Call, Script},
};
use crate::{
    store::{ABSENCE, Key, Locked, Renewed, StoreError, Waiter},
    telemetry::{Loss, StoreOp},
};

impl Redis {
    pub(super) async fn take_lock(&self, key: &Key, waiter: &Waiter) -> Result<Locked, StoreError> {
        if self.state.is_in_grace() {
            return Err(StoreError::Unavailable);
        }
        let arguments = [
            self.waiter(waiter.number),
            self.span(),
            self.floor(),
            waiter.label.to_string(),
            if waiter.lines_up { "1" } else { "0" }.to_owned(),
            ABSENCE.as_micros().to_string(),
        ];
        let sent = Instant::now();
        let answer = self.call(StoreOp::Lock, Call::new(Script::Lock, self.names.lock(key), arguments)).await?;
        self.locked(key, answer, sent)
    }

    fn locked(&self, key: &Key, answer: Vec<Value>, sent: Instant) -> Result<Locked, StoreError> {
        let number = |number: i64| u64::try_from(number).map_err(|_| StoreError::Refused);
        let ahead = |ahead: i64| u32::try_from(ahead).map_err(|_| StoreError::Refused);
        match &answer[..] {
            [Value::Int(1), Value::Int(token)] => {
                let token = number(*token)?;
                self.state.holds.lock().locked(key, token);
                Ok(Locked::Held(self.hold(token, sent)))
            }
            [Value::Int(0), Value::Int(before)] => {
                Ok(Locked::Busy { ahead: ahead(*before)?, holder: None, held_for: Duration::ZERO })
            }
            [Value::Int(0), Value::Int(before), label, Value::Int(since)] => Ok(Locked::Busy {
                ahead: ahead(*before)?,
                holder: Some(redis::from_redis_value::<String>(label.clone()).map_err(|_| StoreError::Refused)?.into()),
                held_for: Duration::from_micros(number(*since)?),
            }),
            _ => Err(StoreError::Refused),
        }
    }

    pub(super) async fn renew_all_locks(&self, locks: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        let call = |(key, token): &(Key, u64)| {
            Call::new(Script::RenewLock, self.names.lock(key), [token.to_string(), self.span()])
        };
        let sent = Instant::now();
        let answers = self.calls(StoreOp::RenewLocks, locks.iter().map(call).collect()).await?;
        let until = self.until(sent);
        let renewed = locks.iter().zip(answers).map(|((key, token), ours)| {
            if ours == 1 {
                return Renewed::Until { until, shared: false };
            }
            if self.state.holds.lock().unlocked(key, *token) {
                self.state.metrics.lost.get(Loss::Expired).inc();
            }
            Renewed::Lost
        });
        Ok(renewed.collect())
    }

    pub(super) async fn give_lock_back(&self, key: &Key, token: u64) -> Result<bool, StoreError> {
        let held = self.state.holds.lock().unlocked(key, token);
        let arguments = [token.to_string(), self.names.channel().to_owned(), freed(key)];
        let call = Call::new(Script::Unlock, self.names.lock(key), arguments);
        let ours = self.call::<i64>(StoreOp::Unlock, call).await? == 1;
        if held && !ours {
            self.state.metrics.lost.get(Loss::Expired).inc();
        }
        Ok(ours)
    }

    pub(super) async fn go_from_line(&self, key: &Key, waiter: u64) -> Result<(), StoreError> {
        let arguments = [self.waiter(waiter), self.names.channel().to_owned(), freed(key)];
        let call = Call::new(Script::LeaveLine, self.names.lock(key), arguments);
        self.call::<i64>(StoreOp::LeaveLine, call).await.map(drop)
    }

    /// A waiter as all proxies know it.
    fn waiter(&self, number: u64) -> String {
        format!("{}:{number}", self.proxy)
    }
}

fn freed(key: &Key) -> String {
    news(&[FREE, &key.pool, &key.session])
}
