//! What a replica hears of its master goes through here, and may be held back.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Hands the bytes on while it flows.
pub struct Relay {
    pub port: u16,
    flows: watch::Sender<bool>,
}

impl Relay {
    pub async fn to(master: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let flows = watch::Sender::new(true);
        let gate = flows.subscribe();
        tokio::spawn(async move {
            while let Ok((replica, _)) = listener.accept().await {
                let Ok(master) = TcpStream::connect(("127.0.0.1", master)).await else { continue };
                let ((mut up, down), (news, mut asked)) = (replica.into_split(), master.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut up, &mut asked).await });
                let gate = gate.clone();
                tokio::spawn(hand_on(news, down, gate));
            }
        });
        Self { port, flows }
    }

    /// Nothing more arrives.
    pub fn hold_back(&self) {
        self.flows.send_replace(false);
    }
}

async fn hand_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut gate: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if gate.wait_for(|flows| *flows).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
