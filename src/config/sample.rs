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
# A line that starts with `# ` and a key is an example of a setting that is not set by default, and a table of such lines
# one that is not there by default.
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
    /// Whether it is only an example, with no line that counts.
    off: bool,
    /// Keys that do not go with the others of this table; the sample has them elsewhere.
    without: &'static [&'static str],
    /// Keys of which the table takes one or another.
    instead: &'static [&'static str],
    /// Examples of a table that shows only what is given.
    examples: Given,
}

impl Scene {
    const fn off(self) -> Self {
        Self { off: true, ..self }
    }

    const fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }

    const fn instead(self, instead: &'static [&'static str]) -> Self {
        Self { instead, ..self }
    }

    const fn examples(self, examples: Given) -> Self {
        Self { examples, ..self }
    }
}

const SCENES: &[Scene] = &[
    full("[runtime]", || inner(File::outline(), &["runtime"]), &[], &[]),
    full("[log]", || inner(File::outline(), &["log"]), &[], &[]),
    full("[admin]", || inner(File::outline(), &["admin"]), &[], &[]),
    full("[shutdown]", || inner(File::outline(), &["shutdown"]), &[], &[]),
    full("[store]", || inner(File::outline(), &["store"]), &[], &[]),
    full(
        "[[listener]]",
        || inner(File::outline(), &["listener"]),
        &[("name", "\"sdk\""), ("bind", "\"127.0.0.1:4321\""), ("mode", "\"session\""), ("pool", "\"copilot\"")],
        &["session"],
    ),
    full("[listener.jwt]", || inner(File::outline(), &["listener", "jwt"]), &[], &[])
        .off()
        .instead(&["public_key", "secret"]),
    full("[listener.tls]", || inner(File::outline(), &["listener", "tls"]), &[], &[]).off(),
    full(
        "[pool.copilot]",
        || inner(File::outline(), &["pool"]),
        &[("policy", "\"consistent-hash\""), ("storage", "\"shared\"")],
        &["methods", "guards", "health"],
    )
    .without(&["tenant"]),
    full("[pool.copilot.sessions]", || inner(File::outline(), &["pool", "sessions"]), &[], &[]),
    full("[pool.copilot.cleanup]", || inner(File::outline(), &["pool", "cleanup"]), &[], &[]),
    full("[pool.copilot.recycle]", || inner(File::outline(), &["pool", "recycle"]), &[], &[])
        .without(&["max_memory", "max_descriptors"]),
    full("[pool.copilot.tls]", || inner(File::outline(), &["pool", "tls"]), &[], &[]).off(),
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
    )
    .examples(&[("tenant", "\"alice\"")]),
    brief(
        "[pool.own]",
        || inner(File::outline(), &["pool"]),
        "A pool whose CLIs pilotfish starts itself.",
        &[("policy", "\"least-sessions\"")],
        &[],
    )
    .examples(&[("posture", "\"dedicated\""), ("tenant", "\"alice\"")]),
    full(
        "[pool.own.supervise]",
        || inner(File::outline(), &["pool", "supervise"]),
        &[("count", "3")],
        &["restart_backoff"],
    ),
    brief(
        "[pool.own.recycle]",
        || inner(File::outline(), &["pool", "recycle"]),
        "Of CLIs that pilotfish started it also knows what they use.",
        &[],
        &[],
    )
    .examples(&[("max_memory", "\"2GiB\""), ("max_descriptors", "800")]),
    brief(
        "[pool.apart]",
        || inner(File::outline(), &["pool"]),
        "A pool in which each tenant (or \"user\") has a CLI of its own.",
        &[("isolation", "\"tenant\"")],
        &[],
    )
    .off(),
    brief(
        "[pool.apart.supervise]",
        || inner(File::outline(), &["pool", "supervise"]),
        "Each has a home of its own.",
        &[("home", "\"/var/lib/pilotfish/{tenant}\""), ("port_range", "\"4500-4599\"")],
        &[],
    )
    .off(),
    full("[pool.apart.instances]", || inner(File::outline(), &["pool", "instances"]), &[], &["limits"])
        .off()
        .instead(&["token_file", "token_env", "token_command"]),
    brief(
        "[pool.found]",
        || inner(File::outline(), &["pool"]),
        "A pool whose CLIs come and go.",
        &[("storage", "\"shared\"")],
        &[],
    )
    .off(),
    full("[pool.found.discovery]", || inner(File::outline(), &["pool", "discovery"]), &[], &[])
        .off()
        .instead(&["file"]),
    full(
        "[[tenant]]",
        || inner(File::outline(), &["tenant"]),
        &[
            ("tokens", "[ { env = \"ALICE_TOKEN\" }, { file = \"/run/secrets/alice-token\", user = \"ann\" } ]"),
            ("roots", "[\"/srv/alice\"]"),
            ("provider_urls", "[\"https://models.example.com/v1\"]"),
            ("mcp_urls", "[\"https://tools.example.com\"]"),
            ("commands", "[\"plan\"]"),
        ],
        &["methods", "limits"],
    )
    .off(),
    full("[[tenant.share]]", || inner(File::outline(), &["tenant", "share"]), &[], &[]).off(),
    brief(
        "[[tenant]]",
        || inner(File::outline(), &["tenant"]),
        "Another one, with a token of which only the SHA-256 stands here: printf %s \"$TOKEN\" | sha256sum",
        &[
            ("name", "\"bob\""),
            ("tokens", "[ { sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" } ]"),
        ],
        &[],
    )
    .off(),
];

type Given = &'static [(&'static str, &'static str)];

const fn full(header: &'static str, outline: fn() -> Outline, given: Given, tables: &'static [&'static str]) -> Scene {
    Scene {
        header,
        outline,
        note: None,
        given,
        full: true,
        tables,
        off: false,
        without: &[],
        instead: &[],
        examples: &[],
    }
}

const fn brief(
    header: &'static str,
    outline: fn() -> Outline,
    note: &'static str,
    given: Given,
    tables: &'static [&'static str],
) -> Scene {
    Scene { note: Some(note), full: false, ..full(header, outline, given, tables) }
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
        self.header(scene.header, scene.off);
        let keys = outline.keys.iter().filter(|key| !scene.without.contains(&key.name));
        if scene.full {
            keys.for_each(|key| self.key(key, scene));
        } else {
            let mark = if scene.off { "# " } else { "" };
            scene.given.iter().for_each(|(key, value)| self.line(&format!("{mark}{key} = {value}")));
            keys.for_each(|key| self.example(key, scene));
        }
        let path = scene.header.trim_matches(['[', ']']);
        for key in outline.keys.iter().filter(|key| scene.tables.contains(&key.name)) {
            self.table(&format!("{path}.{}", key.name), below(key), scene.off);
        }
    }

    fn header(&mut self, header: &str, off: bool) {
        self.line(&format!("{}{header}", if off { "# " } else { "" }));
    }

    /// A table inside another one, with the tables inside it.
    fn table(&mut self, path: &str, outline: Option<Outline>, off: bool) {
        let Some(outline) = outline else { return };
        self.line("");
        self.sentences(&outline.doc);
        self.header(&format!("[{path}]"), off);
        let plain = full("", File::outline, &[], &[]);
        let scene = if off { plain.off() } else { plain };
        outline.keys.iter().for_each(|key| self.key(key, &scene));
        for key in outline.keys.iter().filter(|key| matches!(key.shape, Shape::Table(_))) {
            self.table(&format!("{path}.{}", key.name), below(key), off);
        }
    }

    fn key(&mut self, key: &Key, scene: &Scene) {
        if !matches!(key.shape, Shape::Value) {
            return;
        }
        self.about(key);
        let name = key.name;
        let given = scene.given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let (mark, value) = match (given, key.fallback.clone()) {
            (Some(value), _) | (None, Fallback::Required(value)) => ("", value),
            (None, Fallback::Default(value)) => ("#", value),
            (None, Fallback::Absent(value)) => ("# ", value),
        };
        let mark = match scene.off {
            true if scene.instead.contains(&name) => "# or: ",
            true => "# ",
            false => mark,
        };
        self.line(&format!("{mark}{name} = {value}"));
    }

    fn example(&mut self, key: &Key, scene: &Scene) {
        if let Some((name, value)) = scene.examples.iter().find(|(name, _)| *name == key.name) {
            self.about(key);
            self.line(&format!("# {name} = {value}"));
        }
    }

    fn about(&mut self, key: &Key) {
        self.sentences(&key.doc);
        if key.notes.is_empty() {
            self.line(&format!("#   {}", key.expects));
        }
        key.notes.iter().for_each(|note| self.line(&format!("# {note}")));
    }

    fn sentences(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.line(&format!("# {line}")));
    }
}
