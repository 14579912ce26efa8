//! A process's output in our log, line by line.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::redact::Redactor;

const CHUNK: usize = 8 << 10;

/// Whose output it is.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) pool: Arc<str>,
    pub(super) backend: Arc<str>,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
}

/// Logs the lines of `reader` until it ends or `cancel` is cancelled.
pub(super) async fn log(
    reader: impl AsyncRead + Unpin,
    origin: Origin,
    redactor: Arc<Redactor>,
    lines_per_second: u32,
    cancel: CancellationToken,
) {
    let mut ration = Ration::new(lines_per_second, Instant::now());
    let emit = |line: String| {
        let allowed = ration.take(Instant::now());
        if let Some(missed) = allowed {
            if missed > 0 {
                write(&origin, &format!("({missed} lines left out)"));
            }
            write(&origin, &line);
        }
    };
    cancel.run_until_cancelled(each_line(reader, &redactor, emit)).await;
    if ration.missed > 0 {
        write(&origin, &format!("({} lines left out)", ration.missed));
    }
}

fn write(origin: &Origin, line: &str) {
    let Origin { pool, backend, stream } = origin;
    tracing::info!(target: "pilotfish::supervise::output", %pool, %backend, stream, "{line}");
}

/// Gives every line to `emit`, redacted. Never holds more of a line than the redactor has to see.
async fn each_line(mut reader: impl AsyncRead + Unpin, redactor: &Redactor, mut emit: impl FnMut(String)) {
    let (mut line, mut cut) = (Vec::new(), false);
    let mut chunk = vec![0; CHUNK];
    while let Ok(read @ 1..) = reader.read(&mut chunk).await {
        for piece in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = redactor.reach().saturating_sub(line.len()).min(text.len());
            cut |= room < text.len();
            line.extend_from_slice(&text[..room]);
            if ends {
                emit(redactor.line(line.strip_suffix(b"\r").unwrap_or(&line), cut));
                (line, cut) = (Vec::new(), false);
            }
        }
    }
    if !line.is_empty() {
        emit(redactor.line(&line, cut));
    }
}

/// So many lines a second, and as many at once after a silence: a process that floods its output must not flood our log.
#[derive(Debug)]
struct Ration {
    per_second: f64,
    left: f64,
    at: Instant,
    missed: u64,
}

impl Ration {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: per_second, at: now, missed: 0 }
    }

    /// Whether one more line may pass now, and how many did not since the last one that did.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let earned = (now - self.at).max(Duration::ZERO).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.per_second);
        self.at = now;
        if self.left < 1.0 {
            self.missed += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::redact::MAX_LINE, *};
    use crate::model::Secret;

    async fn lines(raw: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let redactor = Redactor::new(&[Secret::new("hunter22")]);
        each_line(raw, &redactor, |line| lines.push(line)).await;
        lines
    }

    #[tokio::test]
    async fn splits_lines_and_redacts_them() {
        assert_eq!(lines(b"one\r\n\ntwo hunter22\nlast").await, ["one", "", "two ***", "last"]);
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_secret_across_two_reads_is_still_one() {
        let (mut theirs, ours) = tokio::io::duplex(64);
        let writer = async move {
            use tokio::io::AsyncWriteExt;
            theirs.write_all(b"a hun").await.unwrap();
            tokio::task::yield_now().await;
            theirs.write_all(b"ter22\n").await.unwrap();
        };
        let mut lines = Vec::new();
        let redactor = Redactor::new(&[Secret::new("hunter22")]);
        tokio::join!(writer, each_line(ours, &redactor, |line| lines.push(line)));
        assert_eq!(lines, ["a ***"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let mut raw = vec![b'x'; 1 << 20];
        raw.extend_from_slice(b"\nnext\n");
        let lines = lines(&raw).await;
        assert_eq!(lines[0].len(), MAX_LINE + '…'.len_utf8());
        assert_eq!(lines[1..], ["next"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted() {
        let start = Instant::now();
        let mut ration = Ration::new(10, start);
        assert_eq!((0..25).filter(|_| ration.take(start).is_some()).count(), 10);
        let later = start + Duration::from_millis(100);
        assert_eq!(ration.take(later), Some(15));
        assert_eq!(ration.take(later), None);
    }
}
