//! The annotated sample, made from the declarations in `schema`.

use super::{
    kind::Shape,
    schema::File,
    section::{Fallback, Key, Outline, Section},
};

/// The whole annotated sample: every table and key with its sentence, its limits and its default. It passes `pilotfish check`.
pub fn sample() -> String {
    let mut page = Page { text: HEAD.to_owned() };
    for scene in SCENES {
        page.scene(scene);
    }
    page.text
}

const HEAD: &str = "\
# pilotfish: every setting, with its default. Printed by `pilotfish sample`, checked by `pilotfish check FILE`.
#
# A line that starts with `#` and no space shows the default: change it and take the `#` away.
# A line that starts with `# ` and a key is an example of a setting that is not set by default.
#
# Durations: \"500ms\", \"5s\", \"1m30s\", \"2h\", \"1d\". Sizes: \"64KiB\", \"32MiB\", \"1GiB\", or a number of bytes.
# Secrets never stand here: { env = \"NAME\" } takes one from the environment, { file = \"PATH\" } from a file.
# A relative path starts at the folder of this file.
";

/// One table of the sample: where it stands, what it sets, and which of its own tables follow it.
struct Scene {
    header: &'static str,
    outline: fn() -> Outline,
    note: Option<&'static str>,
    given: &'static [(&'static str, &'static str)],
    /// Whether every key is shown, or only what is given.
    full: bool,
    tables: &'static [&'static str],
}

const SCENES: &[Scene] = &[
    full("[runtime]", || inner(File::outline(), &["runtime"]), &[], &[]),
    full("[log]", || inner(File::outline(), &["log"]), &[], &[]),
    full("[admin]", || inner(File::outline(), &["admin"]), &[], &[]),
    full("[shutdown]", || inner(File::outline(), &["shutdown"]), &[], &[]),
    full(
        "[[listener]]",
        || inner(File::outline(), &["listener"]),
        &[("name", "\"sdk\""), ("bind", "\"127.0.0.1:4321\""), ("mode", "\"session\""), ("pool", "\"copilot\"")],
        &["session"],
    ),
    full(
        "[pool.copilot]",
        || inner(File::outline(), &["pool"]),
        &[("policy", "\"consistent-hash\""), ("storage", "\"shared\"")],
        &["health"],
    ),
    full(
        "[[pool.copilot.backends]]",
        || inner(File::outline(), &["pool", "backends"]),
        &[("name", "\"cli-1\""), ("address", "\"cli-1:4321\"")],
        &[],
    ),
    brief(
        "[[pool.copilot.backends]]",
        || inner(File::outline(), &["pool", "backends"]),
        "Short form: backends = [ { name = \"cli-1\", address = \"cli-1:4321\" }, ... ] in [pool.copilot].",
        &[("name", "\"cli-2\""), ("address", "\"cli-2:4321\""), ("weight", "2")],
        &[],
    ),
    brief(
        "[[listener]]",
        || inner(File::outline(), &["listener"]),
        "A second listener, for another pool and in the other mode.",
        &[("name", "\"raw\""), ("bind", "\"127.0.0.1:4322\""), ("mode", "\"connection\""), ("pool", "\"own\"")],
        &["connection"],
    ),
    brief(
        "[pool.own]",
        || inner(File::outline(), &["pool"]),
        "A pool whose CLIs pilotfish starts itself.",
        &[("policy", "\"least-sessions\"")],
        &[],
    ),
    full(
        "[pool.own.supervise]",
        || inner(File::outline(), &["pool", "supervise"]),
        &[("count", "3")],
        &["restart_backoff"],
    ),
];

type Given = &'static [(&'static str, &'static str)];

const fn full(header: &'static str, outline: fn() -> Outline, given: Given, tables: &'static [&'static str]) -> Scene {
    Scene { header, outline, note: None, given, full: true, tables }
}

const fn brief(
    header: &'static str,
    outline: fn() -> Outline,
    note: &'static str,
    given: Given,
    tables: &'static [&'static str],
) -> Scene {
    Scene { header, outline, note: Some(note), given, full: false, tables }
}

/// The table that is reached through the keys of `path`.
fn inner(outline: Outline, path: &[&str]) -> Outline {
    let Some((first, rest)) = path.split_first() else { return outline };
    let key = outline.keys.iter().find(|key| key.name == *first);
    key.and_then(below).map_or(outline.clone(), |outline| inner(outline, rest))
}

/// The table under `key`, if there is one.
fn below(key: &Key) -> Option<Outline> {
    match key.shape {
        Shape::Value => None,
        Shape::Table(o) | Shape::TableOrNone(o) | Shape::Tables(o) | Shape::NamedTables(o) => Some(o()),
    }
}

struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn scene(&mut self, scene: &Scene) {
        let outline = (scene.outline)();
        self.line("");
        match scene.note {
            Some(note) => self.line(&format!("# {note}")),
            None => self.sentences(&outline.doc),
        }
        self.line(scene.header);
        if scene.full {
            outline.keys.iter().for_each(|key| self.key(key, scene.given));
        } else {
            scene.given.iter().for_each(|(key, value)| self.line(&format!("{key} = {value}")));
        }
        let path = scene.header.trim_matches(['[', ']']);
        for key in outline.keys.iter().filter(|key| scene.tables.contains(&key.name)) {
            self.table(&format!("{path}.{}", key.name), below(key));
        }
    }

    /// A table inside another one, with the tables inside it.
    fn table(&mut self, path: &str, outline: Option<Outline>) {
        let Some(outline) = outline else { return };
        self.line("");
        self.sentences(&outline.doc);
        self.line(&format!("[{path}]"));
        outline.keys.iter().for_each(|key| self.key(key, &[]));
        for key in outline.keys.iter().filter(|key| matches!(key.shape, Shape::Table(_))) {
            self.table(&format!("{path}.{}", key.name), below(key));
        }
    }

    fn key(&mut self, key: &Key, given: Given) {
        if !matches!(key.shape, Shape::Value) {
            return;
        }
        self.sentences(&key.doc);
        if key.notes.is_empty() {
            self.line(&format!("#   {}", key.expects));
        }
        key.notes.iter().for_each(|note| self.line(&format!("# {note}")));
        let name = key.name;
        let given = given.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match (given, &key.fallback) {
            (Some(value), _) => self.line(&format!("{name} = {value}")),
            (None, Fallback::Required(value)) => self.line(&format!("{name} = {value}")),
            (None, Fallback::Default(value)) => self.line(&format!("#{name} = {value}")),
            (None, Fallback::Absent(value)) => self.line(&format!("# {name} = {value}")),
        }
    }

    fn sentences(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.line(&format!("# {line}")));
    }
}
