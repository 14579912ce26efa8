//! CLIs of one's own, with a small program in place of the real one: what each is given, and when it gets another one.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};

use crate::{process::Pilotfish, process::gone, rpc_client::RpcClient, session::admin};

/// Tells everybody who asks for its status what it was given. With a socket to hear on, it waits for that as a spare does.
const SMALL_CLI: &str = r#"
import json, os, socket, sys, threading
if ear := os.environ.get("PILOTFISH_SPARE_FD"):
    ear = socket.socket(fileno=int(ear))
    ear.sendall(b"ready\n")
    order = json.loads(ear.makefile().readline())
    os.environ.update(order["set"])
    ear.sendall(b"adopted\n")
def serve(c):
    f = c.makefile("rwb")
    while line := f.readline():
        f.readline()
        m = json.loads(f.read(int(line.split(b":")[1])))
        token = os.environ["COPILOT_CONNECTION_TOKEN"]
        if m["method"] == "connect" and m["params"].get("token") != token:
            sys.exit(1)
        names = ["COPILOT_HOME", "HOME", "TMPDIR", "COPILOT_GITHUB_TOKEN", "PWD", "SECRET_OF_PILOTFISH"]
        told = {name: os.environ.get(name) for name in names}
        r = {"ok": True, "protocolVersion": 3, "version": "1", "pid": os.getpid(), "warm": ear is not None, **told}
        r = json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}).encode()
        f.write(b"Content-Length: %d\r\n\r\n" % len(r) + r)
        f.flush()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

struct Own {
    proxy: Pilotfish,
    folder: PathBuf,
}

impl Own {
    /// With a folder of tokens, in which the file `ann` is.
    async fn start(ports: &str, instances: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("own-{}-{ports}", std::process::id()));
        fs::create_dir_all(folder.join("tokens")).expect("a writable target folder");
        fs::write(folder.join("tokens/ann"), "gho_anns-first\n").expect("a writable target folder");
        let path = folder.display();
        let config = format!(
            r#"
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "own"
[pool.own]
isolation = "tenant"
[pool.own.health]
interval = "1s"
timeout = "1s"
[pool.own.supervise]
command = ["python3", "-c", '''{SMALL_CLI}''', "{{port}}"]
home = "{path}/homes/{{tenant}}"
port_range = "{ports}"
[pool.own.instances]
max_instances = 3
token_file = "{path}/tokens/{{tenant}}"
token_check = "100ms"
{instances}
[[tenant]]
name = "ann"
tokens = [ {{ env = "ANN" }} ]
[[tenant]]
name = "ben"
tokens = [ {{ env = "BEN" }} ]
"#
        );
        let env = [("ANN", "token-of-ann-1234"), ("BEN", "token-of-ben-1234"), ("SECRET_OF_PILOTFISH", "x")];
        Self { proxy: Pilotfish::start_with(&config, &env).await, folder }
    }

    /// What the CLI of one of them was given.
    async fn given(&self, who: &str) -> Value {
        let client = RpcClient::connect(self.proxy.addr("sdk")).await;
        client.call("connect", json!({ "token": format!("token-of-{who}-1234") })).await.expect("a login");
        client.call("status.get", json!({})).await.expect("a status")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn each_is_given_its_own() {
    let own = Own::start("21200-21219", "").await;
    let (ann, ben) = (own.given("ann").await, own.given("ben").await);
    for (who, given) in [("ann", &ann), ("ben", &ben)] {
        let home = own.folder.join("homes").join(who);
        let text = home.display().to_string();
        assert_eq!((&given["COPILOT_HOME"], &given["HOME"]), (&json!(text), &json!(text)));
        assert_eq!(given["TMPDIR"], json!(format!("{text}/tmp")));
        assert_eq!((&given["SECRET_OF_PILOTFISH"], &given["warm"]), (&Value::Null, &json!(false)));
        assert_eq!(fs::metadata(&home).expect("a home").permissions().mode() & 0o777, 0o700);
    }
    assert_eq!((&ann["COPILOT_GITHUB_TOKEN"], &ben["COPILOT_GITHUB_TOKEN"]), (&json!("gho_anns-first"), &Value::Null));
    assert_ne!(ann["pid"], ben["pid"]);
    assert!(!own.proxy.output().contains("gho_anns"));

    // Another token, another process, as soon as nobody is in it.
    fs::write(own.folder.join("tokens/ann"), "gho_anns-second\n").expect("a writable target folder");
    gone(u32::try_from(ann["pid"].as_u64().expect("a number")).expect("an id")).await;
    assert_eq!(own.given("ann").await["COPILOT_GITHUB_TOKEN"], json!("gho_anns-second"));
    assert_eq!(own.given("ben").await["pid"], ben["pid"], "ben's has not changed");
}

#[tokio::test]
async fn a_spare_is_somebodys_at_once() {
    let own = Own::start("21220-21239", "warm_spares = 1").await;
    admin::until(&own.proxy, "instances", &["pool=\"own\"", "state=\"spare\""], |spares| spares == 1.0).await;
    let status = admin::status(&own.proxy).await;
    let spare = &status["pools"][0]["instances"][0];
    assert_eq!((&spare["phase"], spare.get("owner")), (&json!("spare"), None));
    let ann = own.given("ann").await;
    assert_eq!((&ann["warm"], &ann["pid"]), (&json!(true), &spare["pid"]));
    assert_eq!(ann["COPILOT_HOME"], json!(own.folder.join("homes/ann").display().to_string()));
    assert_eq!(ann["COPILOT_GITHUB_TOKEN"], json!("gho_anns-first"));
}
