//! Backends that have served long enough are started again under clients that notice nothing.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::checks::{THREE, assert_rig_sound, converse, drain, kinds, prompts, settled, undrain, until_state};
use crate::{
    deadline::within,
    fake_cli::{Act, Close},
    operations::supervised_with,
    process::Pilotfish,
    session::{
        admin,
        rig::{Plan, Rig, create, id_at},
    },
};

/// The other end of a hook that says which backend it is to start again, and waits for the answer: its exit code.
struct Hook {
    folder: PathBuf,
}

impl Hook {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("hook-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a writable target folder");
        for pipe in ["asked", "answer"] {
            let made = std::process::Command::new("mkfifo").arg(folder.join(pipe)).status();
            assert!(made.expect("mkfifo").success());
        }
        Self { folder }
    }

    /// The line of the config.
    fn line(&self) -> String {
        let words = "$PILOTFISH_POOL $PILOTFISH_BACKEND $PILOTFISH_ADDRESS $PILOTFISH_REASON";
        let folder = self.folder.display();
        let script = format!("echo {words} > {folder}/asked; read code < {folder}/answer; exit $code");
        format!("on_recycle = [\"sh\", \"-c\", '''{script}''']")
    }

    /// The next call's words.
    async fn asked(&self) -> String {
        let pipe = self.folder.join("asked");
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe));
        within(|| "a call of the hook".to_owned(), read).await.expect("no panic").expect("a readable pipe")
    }

    async fn answer(&self, code: u8) {
        let pipe = self.folder.join("answer");
        let write = tokio::task::spawn_blocking(move || std::fs::write(pipe, format!("{code}\n")));
        within(|| "a hook that listens".to_owned(), write).await.expect("no panic").expect("a writable pipe");
    }
}

async fn backend(proxy: &Pilotfish, at: usize) -> Value {
    admin::status(proxy).await["pools"][0]["backends"][at].take()
}

/// A CLI that leaks: it answers more and more slowly.
#[tokio::test]
async fn one_that_slows_down_is_recycled_and_nobody_notices() {
    let hook = Hook::new("slow");
    let table = format!("[pool.copilot.recycle]\nslow_probe = 8.0\ncheck_interval = \"100ms\"\n{}", hook.line());
    let rig = Rig::with(Plan { more: &table, ..THREE }).await;
    let client = rig.client().await;
    let sessions: Vec<String> = (0..3).flat_map(|home| [id_at("a", 3, home), id_at("b", 3, home)]).collect();
    for session in &sessions {
        settled(&client, session).await;
    }
    let ours = ["backend=\"cli-1\"", "outcome=\"ok\""];
    admin::until(&rig.proxy, "probes_total", &ours, |count| count >= 14.0).await;
    rig.cli[0].on("ping", Act::Delay(Duration::from_millis(60)));
    let asked = async {
        let call = hook.asked().await;
        assert_eq!(call, format!("copilot cli-1 {} slow\n", rig.cli[0].addr()));
    };
    // Turns go on all the time, at all of them.
    let talking = async {
        for round in 0.. {
            for session in &sessions {
                converse(&client, session, &format!("{round} of {session}")).await;
            }
        }
    };
    tokio::select! {
        () = asked => {}
        () = talking => {}
    }
    assert_eq!(rig.cli[0].live(), Vec::<String>::new(), "nobody is there when it is stopped");
    assert_eq!(backend(&rig.proxy, 0).await["state"], "drained");
    rig.cli[0].die(Close::Fin);
    rig.cli[0].as_usual();
    rig.cli[0].restart().await;
    hook.answer(0).await;
    let once = ["backend=\"cli-1\"", "reason=\"slow\""];
    admin::until(&rig.proxy, "recycles_total", &once, |count| count == 1.0).await;
    until_state(&rig.proxy, 0, "up").await;
    for session in &sessions {
        converse(&client, session, &format!("after {session}")).await;
        let told = prompts(&client, session).await;
        assert_eq!(told.last(), Some(&format!("after {session}")));
        assert!(!kinds(&client, session).iter().any(|kind| kind == "session.error"), "{session}");
    }
    let fresh = id_at("fresh", 3, 0);
    create(&client, &fresh).await;
    assert_eq!(rig.home(&fresh), 0, "it serves again");
    assert!(!client.is_closed());
    assert_eq!(admin::Metrics::of(&rig.proxy).await.sum("errors_total", &[]), 0.0);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn one_that_has_served_enough_waits_for_room_and_a_failed_hook_leaves_it_serving() {
    let hook = Hook::new("fails");
    let table = format!("[pool.copilot.recycle]\nmax_sessions = 3\ncheck_interval = \"100ms\"\n{}", hook.line());
    let rig = Rig::with(Plan { backends: 2, more: &table, ..THREE }).await;
    drain(&rig.proxy, 1, "").await;
    let client = rig.client().await;
    for at in 0..3 {
        settled(&client, &format!("s-{at}")).await;
    }
    rig.proxy.wait_for_line("backend is due to be recycled, but has to wait").await;
    assert_eq!(backend(&rig.proxy, 0).await["served_sessions"], 3);
    assert_eq!(backend(&rig.proxy, 0).await["state"], "up");
    undrain(&rig.proxy, 1).await;
    assert_eq!(hook.asked().await, format!("copilot cli-1 {} sessions\n", rig.cli[0].addr()));
    hook.answer(3).await;
    let failed = ["kind=\"recycle\"", "outcome=\"failed\""];
    admin::until(&rig.proxy, "operations_total", &failed, |count| count == 1.0).await;
    let status = admin::status(&rig.proxy).await;
    let pool = &status["pools"][0];
    let mut known = pool["operations_before"].as_array().into_iter().flatten().chain([&pool["operation"]]);
    assert!(known.any(|operation| operation["error"] == "on_recycle failed: exit status: 3"), "{pool}");
    // The other one has them all now, so it is next.
    assert_eq!(hook.asked().await, format!("copilot cli-2 {} sessions\n", rig.cli[1].addr()));
    assert_eq!(backend(&rig.proxy, 0).await["state"], "up", "one at a time, and the one that failed is left alone");
    hook.answer(0).await;
    admin::until(&rig.proxy, "recycles_total", &["backend=\"cli-2\""], |count| count == 1.0).await;
    for at in 0..3 {
        converse(&client, &format!("s-{at}"), &format!("still here {at}")).await;
    }
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn supervised_ones_are_recycled_by_age_and_memory_one_at_a_time() {
    let limits = [("21100-21119", "max_age = \"1s\"", "age"), ("21120-21139", "max_memory = \"1MiB\"", "memory")];
    for (ports, limit, reason) in limits {
        let table = format!("[pool.copilot.recycle]\n{limit}\ncheck_interval = \"100ms\"\n");
        let (proxy, _) = supervised_with(ports, &table).await;
        for name in ["cli-1", "cli-2", "cli-3"] {
            let labels = [format!("backend=\"{name}\""), format!("reason=\"{reason}\"")];
            let labels = labels.each_ref().map(String::as_str);
            admin::until(&proxy, "recycles_total", &labels, |count| count >= 1.0).await;
        }
        assert!(admin::Metrics::of(&proxy).await.sum("backend_memory_bytes", &[]) > 3e6);
        admin::until(&proxy, "backend_descriptors", &["backend=\"cli-1\""], |count| count >= 3.0).await;
        let output = proxy.output();
        let mut out = None;
        for line in output.lines().filter(|line| line.contains("operation=\"recycle\"")) {
            let name = ["cli-1", "cli-2", "cli-3"].into_iter().find(|name| line.contains(name));
            match name {
                Some(name) => assert_eq!(*out.get_or_insert(name), name, "one at a time: {line}"),
                None => out = None,
            }
        }
        assert!(!output.contains("operation failed"), "{output}");
        assert_eq!(admin::Metrics::of(&proxy).await.sum("operations_total", &["outcome=\"failed\""]), 0.0);
    }
}
