//! `pilotfish status`, which people and health checks of containers ask.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    deadline::within,
    session::{
        admin,
        rig::{Plan, Rig, create, id_at},
    },
};

async fn status(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilotfish"));
    command.arg("status").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } =
        within(|| "pilotfish status".into(), command.output()).await.expect("the binary that cargo built");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_ready_one_is_told_with_its_backends() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    create(&client, &id_at("one", 2, 1)).await;
    let address = rig.proxy.addr("admin").to_string();
    let (code, out, err) = status(&["--admin", &address]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with(&format!("ready: pilotfish {}, up ", env!("CARGO_PKG_VERSION"))), "{out}");
    assert_eq!(lines[1], format!("listener sdk: {}, mode session, pool copilot, 1 client", rig.proxy.addr("sdk")));
    assert_eq!(lines[2], "pool copilot: 2 of 2 backends up, sessions: 1 idle, 0 busy");
    assert_eq!(lines[4], format!("  cli-2: up, 1 session, 0 turns, at {}", rig.cli[1].addr()));
    admin::until(&rig.proxy, "sessions_live", &["pool=\"copilot\""], |live| live == 1.0).await;
}

#[tokio::test]
async fn json_has_what_the_admin_listener_has() {
    let rig = Rig::new(1).await;
    let address = rig.proxy.addr("admin").to_string();
    let (code, out, _) = status(&["--json", "--admin", &address]).await;
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &said["ready"], &said["reasons"]), (Some(0), &json!(true), &json!([])));
    assert_eq!(said["pools"][0]["backends"], admin::status(&rig.proxy).await["pools"][0]["backends"]);
}

#[tokio::test]
async fn one_that_takes_no_clients_is_not_ready() {
    let more = r#"
[[listener]]
name = "more"
bind = "127.0.0.1:0"
pool = "empty"
[pool.empty]
backends = [{ name = "gone", address = "127.0.0.1:9" }]
"#;
    let rig = Rig::with(Plan { more, ..Plan::default() }).await;
    let address = rig.proxy.addr("admin").to_string();
    let (code, out, _) = status(&["--admin", &address]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.starts_with("not ready (no healthy backend in pool empty of listener more): pilotfish"), "{out}");
    let (code, out, _) = status(&["--json", "--admin", &address]).await;
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &said["reasons"][0]["reason"]), (Some(1), &json!("no_backend")));
}

#[tokio::test]
async fn one_that_drains_is_not_ready() {
    let shutdown = "drain_timeout = \"1m\"\nreadiness_lead = \"1m\"";
    let rig = Rig::with(Plan { shutdown, ..Plan::default() }).await;
    rig.proxy.terminate();
    admin::until_page(&rig.proxy, "/readyz", |body| body == "draining\n").await;
    let (code, out, _) = status(&["--admin", &rig.proxy.addr("admin").to_string()]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.starts_with("not ready (draining): pilotfish"), "{out}");
}

#[tokio::test]
async fn the_config_says_where_to_ask() {
    let rig = Rig::new(1).await;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("status-{}.toml", rig.proxy.pid()));
    std::fs::write(&file, format!("[admin]\nbind = \"{}\"", rig.proxy.addr("admin"))).expect("a target folder");
    let path = file.display().to_string();
    assert_eq!(status(&["--config", &path]).await.0, Some(0));
    std::fs::remove_file(&file).expect("our own file");
    let (code, out, err) = status(&["--config", &path]).await;
    assert!(code == Some(2) && out.is_empty() && err.contains("No such file"), "{out}{err}");
}

#[tokio::test]
async fn who_cannot_be_asked_is_neither() {
    let rig = Rig::new(1).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    for (address, why) in [
        (free.to_string(), "cannot reach pilotfish at 127.0.0.1"),
        // Somebody else listens there.
        (rig.cli[0].addr().to_string(), "no answer from 127.0.0.1"),
    ] {
        let (code, out, err) = status(&["--admin", &address]).await;
        assert!(code == Some(2) && out.is_empty() && err.contains(why), "{out}{err}");
    }
}
