//! What the Sentinels say of who is the master. Each is asked all the time by a task of its own.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::watch, time};
use tokio_util::task::AbortOnDropHandle;

use super::{
    connect::{Connector, Trouble, Wire},
    watch::{ATTEMPT, PULSE},
};
use crate::store::Address;

/// All Sentinels.
pub(super) struct Sentinels {
    views: Arc<Mutex<Vec<Option<Address>>>>,
    changed: watch::Receiver<()>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Sentinels {
    /// Starts to ask them.
    pub fn new(addresses: Vec<Address>, master: &str, connector: Arc<Connector>) -> Self {
        let views = Arc::new(Mutex::new(vec![None; addresses.len()]));
        let (told, changed) = watch::channel(());
        let told = Arc::new(told);
        let tasks = addresses.into_iter().enumerate().map(|(index, address)| {
            let one = Sentinel { address, master: master.into(), connector: connector.clone() };
            let (views, told) = (views.clone(), told.clone());
            let report = move |view| {
                views.lock()[index] = view;
                told.send_replace(());
            };
            AbortOnDropHandle::new(tokio::spawn(one.ask_on(report)))
        });
        Self { _tasks: tasks.collect(), views, changed }
    }

    /// The master that most of those name who answer; the first named one if as many name another.
    pub fn view(&self) -> Option<Address> {
        let views = self.views.lock();
        let named: Vec<&Address> = views.iter().flatten().collect();
        let votes = |address: &Address| named.iter().filter(|other| **other == address).count();
        named.iter().rev().max_by_key(|address| votes(address)).map(|address| (**address).clone())
    }

    /// As [`Sentinels::view`]; waits for the first word.
    pub async fn master(&mut self) -> Option<Address> {
        let known = async {
            loop {
                if let Some(master) = self.view() {
                    return Some(master);
                }
                self.changed.changed().await.ok()?;
            }
        };
        time::timeout(ATTEMPT / 2, known).await.ok().flatten()
    }
}

struct Sentinel {
    address: Address,
    master: Box<str>,
    connector: Arc<Connector>,
}

impl Sentinel {
    async fn ask_on(self, report: impl Fn(Option<Address>)) {
        loop {
            if let Ok(Ok(wire)) = time::timeout(ATTEMPT, self.connector.dial_sentinel(&self.address)).await {
                while let Ok(Ok(view)) = time::timeout(ATTEMPT, self.ask(&wire)).await {
                    report(view);
                    time::sleep(PULSE).await;
                }
            }
            report(None);
            time::sleep(PULSE.max(Duration::from_millis(100))).await;
        }
    }

    async fn ask(&self, wire: &Wire) -> Result<Option<Address>, Trouble> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(&*self.master);
        let named: Option<(String, u16)> = command.query_async(&mut wire.connection.clone()).await?;
        let tls = self.connector.is_tls(&self.address);
        Ok(named.map(|(host, port)| Address::tcp(&host, port, tls)))
    }
}
