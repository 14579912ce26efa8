//! The admin listener as the scenarios look at it.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{deadline::within, process::Pilotfish};

/// Status code and body of a page.
pub async fn page(proxy: &Pilotfish, path: &str) -> (u16, String) {
    page_at(proxy.addr("admin"), path).await
}

/// The same by address.
pub async fn page_at(addr: SocketAddr, path: &str) -> (u16, String) {
    let read = async {
        let mut stream = TcpStream::connect(addr).await.expect("the admin listener");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    };
    let answer = within(|| format!("GET {path}"), read).await;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

/// Asks for a page until it is as wanted.
pub async fn until_page(proxy: &Pilotfish, path: &str, wanted: impl Fn(&str) -> bool) -> (u16, String) {
    let wait = async {
        loop {
            let (code, body) = page(proxy, path).await;
            if wanted(&body) {
                return (code, body);
            }
        }
    };
    within(|| format!("{path} as wanted"), wait).await
}

/// `/status`.
pub async fn status(proxy: &Pilotfish) -> Value {
    serde_json::from_str(&page(proxy, "/status").await.1).expect("JSON")
}

/// One scrape.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub async fn of(proxy: &Pilotfish) -> Self {
        let (code, text) = page(proxy, "/metrics").await;
        assert_eq!(code, 200, "{text}");
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.replace("pilotfish_", ""), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum of all series of `family` (without `pilotfish_`) that have all of `labels`, such as `reason="draining"`.
    pub fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let wanted = |series: &str| {
            series.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        };
        self.0.iter().filter(|(series, _)| wanted(series)).map(|(_, value)| value).sum()
    }
}

/// Scrapes until the sum is as wanted: counts reach the scrape a moment after what they count.
pub async fn until(proxy: &Pilotfish, family: &str, labels: &[&str], wanted: impl Fn(f64) -> bool) -> f64 {
    let last = std::sync::Mutex::new(0.0);
    let wait = async {
        loop {
            let sum = Metrics::of(proxy).await.sum(family, labels);
            *last.lock().expect("one thread") = sum;
            if wanted(sum) {
                return sum;
            }
        }
    };
    within(|| format!("{family}{labels:?}; it is {:?}", last.lock()), wait).await
}
