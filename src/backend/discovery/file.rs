//! A source: a file that may change. It is read every second, and taken only as a whole.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::io::AsyncReadExt as _;

use super::{Answer, Fault, Found, Said};

/// From one look to the next.
const AGAIN: Duration = Duration::from_secs(1);

/// More is no file of backends.
const LARGEST: u64 = 1 << 20;

/// Reads the text of such a file; what is wrong with it is said in the words of the operator's language.
pub type Parse = Arc<dyn Fn(&str) -> Result<Vec<Found>, String> + Send + Sync>;

/// A file with backends.
pub struct ListFile {
    path: PathBuf,
    parse: Parse,
    last: Option<(String, Said)>,
}

impl ListFile {
    /// The file at `path`.
    pub fn new(path: PathBuf, parse: Parse) -> Self {
        Self { path, parse, last: None }
    }

    /// Reads it.
    pub(super) async fn ask(&mut self) -> Answer {
        let said = match self.read().await {
            Ok(text) => self.understand(text),
            Err(error) => Said::Failed(Fault::Broken(format!("{}: {error}", self.path.display()))),
        };
        Answer { said, again: AGAIN }
    }

    /// The same text says the same.
    fn understand(&mut self, text: String) -> Said {
        if let Some((_, said)) = self.last.as_ref().filter(|(last, _)| *last == text) {
            return said.clone();
        }
        let said = match (self.parse)(&text) {
            Ok(found) if found.is_empty() => Said::Nothing(Fault::Empty),
            Ok(found) => Said::Backends(found),
            Err(wrong) => Said::Failed(Fault::Broken(wrong)),
        };
        self.last = Some((text, said.clone()));
        said
    }

    async fn read(&self) -> io::Result<String> {
        let file = tokio::fs::File::open(&self.path).await?;
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text).await?;
        if text.len() as u64 > LARGEST {
            return Err(io::Error::other("it is larger than 1MiB"));
        }
        Ok(text)
    }
}

impl fmt::Debug for ListFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_taken_as_a_whole_or_not_at_all() {
        let path = std::env::temp_dir().join(format!("pilotfish-backends-{}", std::process::id()));
        let parse = |text: &str| {
            let found = |name: &str| Found {
                name: name.into(),
                addresses: vec![],
                host: None,
                server: None,
                weight: 1,
                drain: false,
            };
            if text.contains('!') {
                Err("line 1: no".to_owned())
            } else {
                Ok(text.split_whitespace().map(found).collect())
            }
        };
        let mut file = ListFile::new(path.clone(), Arc::new(parse));
        assert!(matches!(file.ask().await.said, Said::Failed(Fault::Broken(why)) if why.contains("No such file")));
        std::fs::write(&path, "a b").unwrap();
        let said = file.ask().await.said;
        assert!(matches!(&said, Said::Backends(found) if found.len() == 2));
        assert_eq!(file.ask().await.said, said);
        std::fs::write(&path, "a !").unwrap();
        assert_eq!(file.ask().await.said, Said::Failed(Fault::Broken("line 1: no".to_owned())));
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.ask().await.said, Said::Nothing(Fault::Empty));
        std::fs::remove_file(&path).unwrap();
    }
}
