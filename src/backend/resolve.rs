//! Keeps the address of a backend that is given by name.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::pool::Member;

/// A name server that does not answer must not stop the next try.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// While there is no address at all, waiting a whole interval helps nobody.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Starts a task that looks `host:port` up now and at every `interval`, and gives the answer to `member`. It ends
/// when `cancel` is cancelled.
pub fn spawn(
    member: Arc<Member>,
    target: String,
    interval: Duration,
    tracker: &TaskTracker,
    cancel: &CancellationToken,
) {
    let cancel = cancel.clone();
    tracker.spawn(async move {
        let lookup = || {
            let target = target.clone();
            async move { Ok(tokio::net::lookup_host(target).await?.collect()) }
        };
        cancel.run_until_cancelled(keep(&member, interval, lookup)).await;
    });
}

/// Looks up for ever. The last good answer stays when a look-up fails: a name server's bad hour is no reason to give
/// up backends that work.
async fn keep<F, L>(member: &Member, interval: Duration, mut lookup: F)
where
    F: FnMut() -> L,
    L: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    loop {
        let answer =
            time::timeout(LOOKUP_TIMEOUT, lookup()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match answer {
            Ok(answer) => adopt(member, &answer),
            Err(error) => tracing::warn!(pool = %member.pool, backend = %member.name, %error, "look-up failed"),
        }
        let pause = if member.address().is_some() { interval } else { interval.min(FIRST_RETRY) };
        time::sleep(pause).await;
    }
}

fn adopt(member: &Member, answer: &[SocketAddr]) {
    let before = member.address().and_then(|address| address.tcp());
    let now = choose(before, answer).or(before);
    if now != before {
        tracing::info!(pool = %member.pool, backend = %member.name, address = ?now, "backend has a new address");
        member.set_address(now.map(Into::into));
        member.suspect.notify_one();
    }
}

/// The address that we have, if it is still among the answers (their order changes with every look-up); else the first.
fn choose(current: Option<SocketAddr>, answer: &[SocketAddr]) -> Option<SocketAddr> {
    current.filter(|current| answer.contains(current)).or_else(|| answer.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 4321).into()
    }

    #[test]
    fn stays_with_an_address_that_still_holds() {
        let (one, two) = (address(1), address(2));
        assert_eq!(choose(None, &[one, two]), Some(one));
        assert_eq!(choose(Some(two), &[one, two]), Some(two));
        assert_eq!(choose(Some(two), &[one]), Some(one));
        assert_eq!(choose(Some(two), &[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_last_good_answer_and_follows_changes() {
        let member = Member::new("p".into(), "m".into(), 1, None);
        let mut answers = vec![Err(()), Ok(vec![address(1)]), Err(()), Ok(vec![]), Ok(vec![address(2)])].into_iter();
        let mut seen = Vec::new();
        let lookup = || {
            seen.push((member.address(), time::Instant::now()));
            let answer = answers.next();
            async move {
                match answer {
                    Some(Ok(answer)) => Ok(answer),
                    Some(Err(())) => Err(io::Error::other("no")),
                    None => std::future::pending().await,
                }
            }
        };
        let interval = Duration::from_secs(30);
        let watched = time::timeout(Duration::from_secs(93), keep(&member, interval, lookup)).await;
        assert!(watched.is_err());
        let addresses: Vec<_> = seen.iter().map(|(address, _)| address.clone()).collect();
        assert_eq!(addresses, [None, None, Some(address(1).into()), Some(address(1).into()), Some(address(1).into())]);
        assert_eq!(member.address(), Some(address(2).into()));
        let waits: Vec<_> = seen.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_secs()).collect();
        assert_eq!(waits, [1, 30, 30, 30]);
    }

    #[tokio::test]
    async fn resolves_a_real_name_and_wakes_the_probe() {
        let member = Arc::new(Member::new("p".into(), "m".into(), 1, None));
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        spawn(member.clone(), "localhost:4321".into(), Duration::from_secs(30), &tracker, &cancel);
        member.suspect.notified().await;
        let address = member.address().and_then(|address| address.tcp());
        assert!(address.is_some_and(|address| address.ip().is_loopback() && address.port() == 4321));
        cancel.cancel();
        tracker.close();
        tracker.wait().await;
    }
}
