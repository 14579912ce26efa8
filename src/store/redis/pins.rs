//! Who holds which session at which home.

use std::time::Instant;

use redis::Value;

use super::{
    Redis,
    names::written,
    scripts::{Call, Script},
};
use crate::{
    store::{Alone, Claimed, Key, Renewed, StoreError, Wish},
    telemetry::{Loss, StoreOp},
};

impl Redis {
    pub(super) async fn claim_pin(&self, key: &Key, wish: &Wish) -> Result<Claimed, StoreError> {
        if self.state.is_in_grace() && !self.state.holds.lock().was_pinned(key) {
            return Err(StoreError::Unavailable);
        }
        let arguments = [
            self.proxy.to_string(),
            self.span(),
            self.floor(),
            wish.home.to_string(),
            wish.lost.as_deref().unwrap_or_default().to_owned(),
            if wish.ephemeral { "1" } else { "0" }.to_owned(),
            wish.owner.as_ref().map(written).unwrap_or_default(),
        ];
        let call = Call::new(Script::Claim, [self.names.pin(key), self.names.owner(key)], arguments);
        let sent = Instant::now();
        let answer: Vec<Value> = self.call(StoreOp::Claim, call).await?;
        self.claimed(key, answer, sent)
    }

    fn claimed(&self, key: &Key, answer: Vec<Value>, sent: Instant) -> Result<Claimed, StoreError> {
        let text = |value: &Value| redis::from_redis_value::<String>(value.clone()).map_err(|_| StoreError::Refused);
        match &answer[..] {
            [word] if text(word)? == "moving" => Ok(Claimed::Moving),
            [word] if text(word)? == "foreign" => Ok(Claimed::Foreign),
            [_, home, Value::Int(token), Value::Int(others), ephemeral] => {
                let token = u64::try_from(*token).map_err(|_| StoreError::Refused)?;
                self.state.holds.lock().pinned(key, token);
                Ok(Claimed::Held {
                    home: text(home)?.into(),
                    hold: self.hold(token, sent),
                    shared: *others > 0,
                    ephemeral: text(ephemeral)? == "1",
                })
            }
            _ => Err(StoreError::Refused),
        }
    }

    pub(super) async fn isolate_pin(&self, key: &Key, token: u64) -> Result<Alone, StoreError> {
        let call = Call::new(Script::Isolate, [self.names.pin(key)], [self.proxy.to_string(), token.to_string()]);
        let answer: String = self.call(StoreOp::Isolate, call).await?;
        match &*answer {
            "alone" => Ok(Alone::Yes),
            "shared" => Ok(Alone::No),
            "lost" => Ok(Alone::Lost),
            _ => Err(StoreError::Refused),
        }
    }

    pub(super) async fn renew_pins(&self, holds: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        let call = |(key, token): &(Key, u64)| {
            let arguments = [self.proxy.to_string(), token.to_string(), self.span()];
            Call::new(Script::Renew, [self.names.pin(key)], arguments)
        };
        // The first one's time counts for all.
        let sent = Instant::now();
        let answers = self.calls(StoreOp::Renew, holds.iter().map(call).collect()).await?;
        let until = self.until(sent);
        let renewed = holds.iter().zip(answers).map(|((key, token), others)| {
            if others >= 0 {
                return Renewed::Until { until, shared: others > 0 };
            }
            if self.state.holds.lock().unpinned(key, *token) {
                self.state.metrics.lost.get(Loss::Expired).inc();
            }
            Renewed::Lost
        });
        Ok(renewed.collect())
    }

    pub(super) async fn leave_pin(&self, key: &Key, token: u64, closed: bool) -> Result<(), StoreError> {
        self.state.holds.lock().unpinned(key, token);
        let closed = if closed { "1" } else { "0" }.to_owned();
        let arguments = [self.proxy.to_string(), token.to_string(), closed];
        let call = Call::new(Script::Leave, [self.names.pin(key)], arguments);
        self.call::<i64>(StoreOp::Leave, call).await.map(drop)
    }

    pub(super) async fn is_pinned(&self, key: &Key) -> Result<bool, StoreError> {
        let call = Call::new(Script::Held, [self.names.pin(key)], [self.proxy.to_string()]);
        Ok(self.call::<i64>(StoreOp::IsHeld, call).await? == 1)
    }
}
