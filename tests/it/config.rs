//! `pilotfish check`, `sample` and `run --config` as an operator meets them.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn pilotfish(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilotfish")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A config file of one test, removed at its end.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-it-{name}-{}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn check_takes_every_file_of_conf() {
    for name in ["pilotfish.toml", "minimal.toml", "local-storage.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name);
        let output = pilotfish(&["check", path.to_str().unwrap()]);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with("ok: "), "{}", text(&output.stdout));
    }
}

#[test]
fn sample_prints_a_file_that_check_takes() {
    let output = pilotfish(&["sample"]);
    assert!(output.status.success());
    let file = ConfigFile::new("sample", text(&output.stdout));
    assert!(pilotfish(&["check", file.path()]).status.success());
}

#[test]
fn check_tells_problems_and_warnings_and_fails() {
    let bad =
        "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"x\"\nmod = \"session\"\n[pool.x]\nstorage = 5\n";
    let file = ConfigFile::new("check", bad);
    let output = pilotfish(&["check", file.path()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let told: Vec<&str> = text(&output.stderr).lines().collect();
    let starts = [
        (":5:1: error: listener[0].mod: found an unknown key;", "(did you mean `mode`?)"),
        (":6:1: error: pool.x: found neither backends nor discovery nor supervise;", ""),
        (":7:11: error: pool.x.storage: found integer 5;", ""),
        (":3:8: warning: listener[0].bind: found 0.0.0.0:1,", ""),
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, (start, end)) in told.iter().zip(starts) {
        assert!(line.starts_with(&format!("{}{start}", file.path())) && line.ends_with(end), "{line}");
    }
}

/// A tenant with a token, a pool that tenants share and one that is nobody's business: told whole, and no token in it.
#[test]
fn check_tells_what_is_wrong_with_tenants() {
    let bad = "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"x\"\nmode = \"connection\"\n\
        [pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n\
        [[tenant]]\nname = \"alice-\"\ntokens = [ \"hunter2\" ]\nmethods = { allow = [ \"runtime.shutdown\" ] }\n";
    let file = ConfigFile::new("tenants", bad);
    let output = pilotfish(&["check", file.path()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let told: Vec<&str> = text(&output.stderr).lines().collect();
    let starts = [
        ":5:8: error: listener[0].mode: found \"connection\" for the pool x, which tenants share;",
        ":9:8: error: tenant[0].name: found \"alice-\", with which session ids of the pool x cannot begin",
        ":10:12: error: tenant[0].tokens[0]: found string (not shown);",
        ":11:23: warning: tenant[0].methods.allow[0]: found \"runtime.shutdown\" in a pool that tenants share:",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(&format!("{}{start}", file.path())) && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn check_of_a_missing_file_fails() {
    let output = pilotfish(&["check", "/nowhere/pilotfish.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("/nowhere/pilotfish.toml: error: "), "{}", text(&output.stderr));
}

/// The listener's port is taken: a process that tried to bind before it had checked would tell of that.
#[test]
fn run_refuses_a_bad_file_before_it_binds() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let bad = format!("[[listener]]\nname = \"a\"\nbind = \"{address}\"\npool = \"x\"\n");
    let file = ConfigFile::new("run", &bad);
    let output = pilotfish(&["run", "--config", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.lines().count() == 1 && told.contains(":4:8: error: listener[0].pool: found \"x\""), "{told}");
}
