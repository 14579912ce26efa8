//! Files that a message names. The runtime looks at them on its host at once: an outside path told its number of lines.

use super::{
    Denied,
    fields::Fields,
    path::{Roots, stays_below},
    tree::Tree,
};

const NOT_A_LIST: (&str, &str) = ("not_a_list", "send a list here");
const NOT_IN_REPO: (&str, &str) = ("path_not_in_repository", "use a path inside the repository");
const HOST_KEYS: &[&str] = &["path", "filePath", "directory", "directoryPath"];

/// Every place of `attachments`: beside the prompt, in `message`, in `messages[]`.
pub fn check(params: &Tree<'_>, roots: &Roots, workspace: Option<&str>) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &["attachments", "message", "messages", "sessionId"])?;
    let files = Files { roots, workspace };
    files.list(&fields)?;
    if let Some(message) = fields.get("message") {
        // A message that is text holds no file.
        if let Tree::Object(_) = message {
            files.list(&Fields::of(message, "params.message", &["attachments"])?)?;
        }
    }
    let Some(messages) = fields.get("messages") else { return Ok(()) };
    let Tree::Array(messages) = messages else { return Err(fields.deny("messages", NOT_A_LIST)) };
    messages.iter().try_for_each(|message| files.list(&Fields::of(message, "params.messages[]", &["attachments"])?))
}

struct Files<'r> {
    roots: &'r Roots,
    workspace: Option<&'r str>,
}

impl Files<'_> {
    fn list(&self, fields: &Fields<'_, '_>) -> Result<(), Denied> {
        let Some(attachments) = fields.get("attachments") else { return Ok(()) };
        let Tree::Array(items) = attachments else { return Err(fields.deny("attachments", NOT_A_LIST)) };
        let path = format!("{}[]", fields.path("attachments"));
        items.iter().try_for_each(|item| self.one(item, &path))
    }

    fn one(&self, item: &Tree<'_>, path: &str) -> Result<(), Denied> {
        let fields = Fields::of(item, path, &["type", "path", "filePath", "directory", "directoryPath"])?;
        let kind = fields.get("type").and_then(Tree::text).unwrap_or_default();
        for key in HOST_KEYS {
            let Some(value) = fields.get(key) else { continue };
            // GitHub's kinds name a path inside a repository; the runtime leaves the disk alone.
            if kind.starts_with("github_") {
                match value.text() {
                    Some(text) if stays_below(text) => continue,
                    _ => return Err(fields.deny(key, NOT_IN_REPO)),
                }
            }
            // A relative path is none: the runtime starts from its own folder, not from the session's.
            self.roots.one_or_below(&fields.path(key), value, self.workspace)?;
        }
        Ok(())
    }
}
