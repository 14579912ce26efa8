//! Backends in a file that changes.

use std::path::PathBuf;

use super::scene::{Scene, address, backends, client, proxy, until};
use crate::{
    moves::checks::{idle_behind, order, settled},
    session::{admin, rig::id_at},
    store::server::Folder,
};

struct File(Folder);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("backends.toml")
    }

    /// Replaces it as a whole, as operators should.
    fn write(&self, text: &str) {
        let new = self.0.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, self.path()).expect("renamed");
    }
}

fn backend(name: &str, at: usize, port: u16, more: &str) -> String {
    format!("[[backend]]\nname = \"{name}\"\naddress = \"{}:{port}\"\n{more}\n", address(at))
}

#[tokio::test]
async fn a_file_is_followed_and_a_broken_one_changes_nothing() {
    let scene = Scene::new(3).await;
    let file = File(Folder::new());
    let (one, two) = (backend("cli-1", 0, scene.port, ""), backend("cli-2", 1, scene.port, "weight = 2"));
    file.write(&format!("{one}{two}"));
    let proxy = proxy(&format!("file = \"{}\"", file.path().display())).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 0);
    settled(&client, &session).await;
    let home = scene.home(&session);
    let (gate, before) = scene.long_turn(&client, &session).await;

    file.write("[[backend]]\nname = \"cli-1\"\nadress = \"x\"\n");
    let told = proxy.wait_for_line("backends cannot be found").await;
    assert!(told.contains("backends.toml:3:") && told.contains("did you mean `address`?"), "{told}");
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;

    let three = backend("cli-3", 2, scene.port, "drain = true");
    file.write(&format!("{one}{two}{three}"));
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up"), ("cli-3", "drained")]).await;
    file.write(&format!("{one}{two}{}", backend("cli-3", 2, scene.port, "")));
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up"), ("cli-3", "up")]).await;
    let page = admin::status(&proxy).await;
    assert_eq!(page["pools"][0]["backends"][1]["weight"], 2);

    // One that an operator drained stays drained when it comes back.
    let (code, body) = order(&proxy, "/backends/cli-3/drain").await;
    assert!((200..300).contains(&code), "{body}");
    file.write(&format!("{one}{two}"));
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let left = if home == 0 { &two } else { &one };
    file.write(left);
    gate.open();
    idle_behind(&client, &session, before).await;
    until(&proxy, &[(if home == 0 { "cli-2" } else { "cli-1" }, "up")]).await;
    assert_eq!(backends(&proxy).await.len(), 1);
    assert_ne!(scene.home(&session), home);
}
