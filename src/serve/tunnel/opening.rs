//! Until the proxy has said a first word. With TLS 1.3 our side of the handshake is done before the proxy has seen our
//! certificate: whether it takes it, the first word tells. So what the client has sent until then is kept, to tell it more than
//! the end of its connection if it is refused.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::road::NoRoad;
use crate::backend::Socket;

/// So much of what a client sends is kept; a first request is far smaller.
const KEPT: usize = 256 << 10;

/// Read at once.
const PIECE: usize = 16 << 10;

/// How it went.
pub(super) enum Opened {
    /// The proxy has said something, which the client has.
    Speaks(Socket),
    /// The client is gone.
    Left,
    /// The proxy does not want us.
    Refused(NoRoad),
}

/// Carries both ways until the proxy has said something. `first`: what the client has sent, as far as it is kept.
pub(super) async fn open(client: &mut Socket, mut proxy: Socket, first: &mut Vec<u8>) -> Opened {
    let (mut from_proxy, mut from_client) = (Vec::new(), Vec::new());
    let mut client_ended = false;
    while first.len() < KEPT {
        from_client.reserve(PIECE);
        from_proxy.reserve(PIECE);
        tokio::select! {
            read = proxy.read_buf(&mut from_proxy) => match read {
                Ok(0) => return Opened::Refused(NoRoad::Closed),
                Ok(_) if pass(client, &from_proxy).await.is_ok() => return Opened::Speaks(proxy),
                Ok(_) => return Opened::Left,
                Err(error) => return Opened::Refused(NoRoad::of(error)),
            },
            read = client.read_buf(&mut from_client), if !client_ended => match read {
                Ok(0) if first.is_empty() => return Opened::Left,
                Ok(0) => {
                    client_ended = true;
                    proxy.end_writing();
                }
                Ok(_) => {
                    // The SDK holds a frame's body back until its header is acknowledged.
                    client.quick_ack();
                    first.extend_from_slice(&from_client);
                    // That nobody takes it is told by the reading side, in better words.
                    let _ = pass(&mut proxy, &from_client).await;
                    from_client.clear();
                }
                Err(_) => return Opened::Left,
            },
        }
    }
    Opened::Speaks(proxy)
}

async fn pass(to: &mut Socket, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}
