//! What the old and the new process say to each other: a line of JSON each.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::records::Records;

/// No line is longer. Records come in parts.
const LONGEST: u64 = 4 << 20;

/// The version of the talk. Another one is refused: the old process goes on serving.
pub(super) const VERSION: u32 = 1;

/// What the new process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum New {
    /// It is there, has read its config and listens for the sockets.
    Hello {
        /// The version of the talk.
        talk: u32,
        /// The version of pilotfish.
        version: String,
    },
    /// It cannot.
    Refused(String),
    /// It has the sockets, and a backend behind each listener that had one.
    Prepared,
    /// It accepts.
    Open,
}

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Old {
    /// The sockets that come, in this order.
    Sockets {
        /// Names and addresses as in the config.
        list: Vec<(String, String)>,
        /// The pools that have a backend here.
        served: Vec<String>,
    },
    /// Some of what it knows.
    Records(Records),
    /// The new process may accept.
    Go,
    /// There is no more to say.
    Done,
}

/// One end.
#[derive(Debug)]
pub(super) struct Talk {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Talk {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new() }
    }

    /// Another descriptor of the connection, to see its end by.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.stream.get_ref().as_fd().try_clone_to_owned()
    }

    /// Says one thing.
    pub(super) async fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.stream.write_all(&line).await
    }

    /// Waits for the next thing that the other says. If this is given up, what came of it so far is kept.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let room = LONGEST.saturating_sub(self.line.len() as u64);
        (&mut self.stream).take(room).read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        match line.last() {
            Some(b'\n') => Ok(serde_json::from_slice(&line)?),
            _ if line.len() as u64 >= LONGEST => Err(io::ErrorKind::InvalidData.into()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_said_is_heard_in_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Talk::new(one), Talk::new(other));
        one.say(&New::Prepared).await.unwrap();
        one.say(&New::Refused("line\nbreak".into())).await.unwrap();
        assert_eq!(other.hear::<New>().await.unwrap(), New::Prepared);
        assert_eq!(other.hear::<New>().await.unwrap(), New::Refused("line\nbreak".into()));
        drop(one);
        assert_eq!(other.hear::<New>().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn nonsense_half_a_line_and_too_long_a_line_are_errors() {
        for (said, kind) in [
            (b"[]\n".to_vec(), io::ErrorKind::InvalidData),
            (b"\"prep".to_vec(), io::ErrorKind::UnexpectedEof),
            (vec![b' '; LONGEST as usize + 1], io::ErrorKind::InvalidData),
        ] {
            let (mut one, other) = UnixStream::pair().unwrap();
            let saying = tokio::spawn(async move {
                let _ = one.write_all(&said).await;
            });
            let heard = Talk::new(other).hear::<New>().await;
            assert_eq!(heard.unwrap_err().kind(), kind);
            saying.await.unwrap();
        }
    }
}
