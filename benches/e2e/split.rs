//! The reading side of generator and backend: frames are counted and their first bytes shown, large bodies are thrown away
//! in the kernel (`MSG_TRUNC`), so that the reader is never what is measured.

use std::{io, net::TcpStream};

use rustix::net::{RecvFlags, recv};

/// Of a large body no more than this is looked at.
const HEAD: usize = 512;
/// Bodies up to this size are read whole.
const WHOLE: usize = 16 * 1024;
/// What one read takes.
pub const SCRATCH: usize = 256 * 1024;

/// Cuts one connection's stream into frames.
#[derive(Default)]
pub struct Splitter {
    rest: Vec<u8>,
    head: Vec<u8>,
    skip: usize,
    length: usize,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Blocked,
    /// The end.
    End,
}

impl Splitter {
    /// Reads once and calls `each` with the body (its first bytes, if it is large) and the body's length for every frame
    /// that is now whole.
    pub fn read(
        &mut self,
        socket: &TcpStream,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8], usize),
    ) -> io::Result<Got> {
        if self.skip > 0 {
            return self.discard(socket, scratch, each);
        }
        let kept = self.rest.len();
        scratch[..kept].copy_from_slice(&self.rest);
        let got = match take(socket, &mut scratch[kept..], RecvFlags::empty())? {
            Got::Bytes(got) => got,
            other => return Ok(other),
        };
        let used = self.split(&scratch[..kept + got], &mut each)?;
        self.rest.clear();
        self.rest.extend_from_slice(&scratch[used..kept + got]);
        Ok(Got::Bytes(got))
    }

    fn split(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8], usize)) -> io::Result<usize> {
        let mut at = 0;
        while let Some((header, length)) = header(&bytes[at..])? {
            let body = &bytes[at + header..];
            if body.len() >= length {
                each(&body[..length], length);
                at += header + length;
            } else if length > WHOLE {
                self.head.clear();
                self.head.extend_from_slice(&body[..body.len().min(HEAD)]);
                if self.head.len() < HEAD {
                    break; // Comes with the next read.
                }
                (self.skip, self.length) = (length - body.len(), length);
                at = bytes.len();
            } else {
                break;
            }
        }
        Ok(at)
    }

    fn discard(
        &mut self,
        socket: &TcpStream,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8], usize),
    ) -> io::Result<Got> {
        let most = self.skip.min(scratch.len());
        let got = take(socket, &mut scratch[..most], RecvFlags::TRUNC)?;
        if let Got::Bytes(bytes) = got {
            self.skip -= bytes;
            if self.skip == 0 {
                each(&self.head, self.length);
            }
        }
        Ok(got)
    }
}

/// One `recv` that tells its three outcomes apart.
pub fn take(socket: &TcpStream, into: &mut [u8], flags: RecvFlags) -> io::Result<Got> {
    loop {
        match recv(socket, &mut *into, flags) {
            Ok((_, 0)) => return Ok(Got::End),
            Ok((_, bytes)) => return Ok(Got::Bytes(bytes)),
            Err(rustix::io::Errno::AGAIN) => return Ok(Got::Blocked),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Header length and body length, if the header is whole. Every peer writes the same one.
fn header(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    const NAME: &[u8] = b"Content-Length: ";
    if bytes.len() <= NAME.len() {
        return Ok(None);
    }
    if !bytes.starts_with(NAME) {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        return Err(io::Error::other(format!("not a frame: {head:?}")));
    }
    let mut length = 0;
    for (at, byte) in bytes.iter().enumerate().skip(NAME.len()) {
        match byte {
            b'0'..=b'9' => length = length * 10 + usize::from(byte - b'0'),
            _ if bytes.len() < at + 4 => return Ok(None),
            _ => return Ok(Some((at + 4, length))),
        }
    }
    Ok(None)
}
