//! Homes, users and tokens on a real disk.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, time::Duration};

use super::*;
use crate::{
    model::Secret,
    supervise::{EnvValue, SuperviseSettings},
};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-outfit-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, below: &str) -> String {
        self.0.join(below).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn settings(folder: &Folder) -> OutfitSettings {
    OutfitSettings {
        home: folder.path("homes/{tenant}/{user}"),
        token: TokenSource::None,
        token_required: false,
        token_timeout: Duration::from_secs(20),
        uids: None,
        gid: None,
        limits: Limits::default(),
        program: "/no/such/copilot".to_owned(),
    }
}

fn user(user: &str) -> Identity {
    Identity { tenant: "corp".into(), user: Some(user.into()) }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn each_has_a_home_of_its_own() {
    let folder = Folder::new();
    let outfitter = Outfitter::new(settings(&folder));
    let (ann, bob) = (outfitter.kit(&user("ann")).await.unwrap(), outfitter.kit(&user("bob")).await.unwrap());
    assert_eq!(ann.home(), folder.0.join("homes/corp/ann"));
    assert_eq!((mode(ann.home()), mode(bob.home())), (0o700, 0o700));
    assert_eq!(mode(&folder.0.join("homes/corp")), 0o711);

    fs::set_permissions(bob.home(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    outfitter.kit(&user("bob")).await.unwrap();
    assert_eq!(mode(bob.home()), 0o700, "closed again");

    std::os::unix::fs::symlink(ann.home(), folder.0.join("homes/corp/eve")).unwrap();
    let error = outfitter.kit(&user("eve")).await.unwrap_err();
    assert!(error.to_string().contains("not a folder"), "{error}");
    let error = outfitter.kit(&user("../ann")).await.unwrap_err();
    assert_eq!(error.to_string(), "the name `../ann` cannot be the name of a folder");
}

#[tokio::test]
async fn a_kit_dresses_settings() {
    let folder = Folder::new();
    let tokens = [("corp/ann", "gho_anns"), ("corp", "gho_everybodys")];
    let tokens = tokens.into_iter().map(|(who, token)| (who.to_owned(), Secret::new(token))).collect();
    let outfitter = Outfitter::new(OutfitSettings { token: TokenSource::Given(tokens), ..settings(&folder) });
    let pool = SuperviseSettings {
        env: vec![("HOME".into(), EnvValue::Plain("/root".into())), ("A".into(), EnvValue::Plain("b".into()))],
        ..SuperviseSettings::default()
    };
    let kit = outfitter.kit(&user("ann")).await.unwrap();
    assert_eq!(kit.print(), outfitter.print(&user("ann")).await.unwrap());
    assert_ne!(kit.print(), outfitter.print(&user("bob")).await.unwrap());
    let dressed = kit.dress(pool.clone());
    let home = folder.path("homes/corp/ann");
    let value = |name: &str| match dressed.env.iter().filter(|(set, _)| set == name).collect::<Vec<_>>()[..] {
        [(_, EnvValue::Plain(text))] => text.clone(),
        [(_, EnvValue::Secret(text))] => format!("secret {}", text.expose()),
        ref other => panic!("{name}: {other:?}"),
    };
    assert_eq!((value("HOME"), value("TMPDIR"), value("A")), (home.clone(), format!("{home}/tmp"), "b".into()));
    assert_eq!(value("COPILOT_GITHUB_TOKEN"), "secret gho_anns");
    assert_eq!(
        (dressed.copilot_home.as_deref(), dressed.lock.clone()),
        (Some(home.as_str()), Some(home.clone().into()))
    );
    assert_eq!(dressed.working_dir, Some(home.into()));
    assert!(
        ["GH_TOKEN", "GITHUB_TOKEN", "COPILOT_GITHUB_TOKEN"]
            .iter()
            .all(|name| dressed.withhold_env.iter().any(|set| set == name))
    );
    let bob = outfitter.kit(&user("bob")).await.unwrap().dress(pool);
    assert!(format!("{bob:?}").contains("Secret(***)") && !format!("{bob:?}").contains("gho_"));
}

#[tokio::test]
async fn tokens_of_files() {
    let folder = Folder::new();
    let token = TokenSource::File(folder.path("tokens/{tenant}.{user}"));
    let outfitter = Outfitter::new(OutfitSettings { token, ..settings(&folder) });
    fs::create_dir(folder.0.join("tokens")).unwrap();
    let write = |text: &str| fs::write(folder.0.join("tokens/corp.ann"), text).unwrap();
    assert_eq!(outfitter.print(&user("ann")).await.unwrap(), None);
    write("gho_first\n");
    let first = outfitter.print(&user("ann")).await.unwrap();
    write("gho_first");
    assert_eq!(outfitter.print(&user("ann")).await.unwrap(), first, "the end of the line is no part of it");
    write("gho_second\n");
    assert_ne!(outfitter.print(&user("ann")).await.unwrap(), first);
    write("");
    assert_eq!(outfitter.print(&user("ann")).await.unwrap(), None);
    write("gho_a\ngho_b\n");
    let error = outfitter.kit(&user("ann")).await.unwrap_err().to_string();
    assert!(error.contains("tokens/corp.ann holds more than one line") && !error.contains("gho_"), "{error}");
    let required = OutfitSettings { token_required: true, ..outfitter.settings.clone() };
    let error = Outfitter::new(required).kit(&user("bob")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no GitHub token for corp/bob");
}

#[tokio::test]
async fn tokens_of_a_program() {
    let folder = Folder::new();
    let outfitter = |script: &str, token_timeout| {
        let words = ["sh", "-c", script, "helper", "{tenant}", "{user}"].map(String::from).to_vec();
        Outfitter::new(OutfitSettings { token: TokenSource::Command(words), token_timeout, ..settings(&folder) })
    };
    let long = Duration::from_secs(20);
    let token = outfitter("echo gho_$1-$2", long).kit(&user("ann")).await.unwrap().print();
    assert_eq!(token, Some(TokenPrint::of(&Secret::new("gho_corp-ann"))));
    assert_eq!(outfitter("true", long).print(&user("ann")).await.unwrap(), None);
    let told = async |script: &str, limit| outfitter(script, limit).print(&user("ann")).await.unwrap_err().to_string();
    assert_eq!(told("echo gho_secret; exit 3", long).await, "token_command failed: exit status: 3");
    assert_eq!(told("yes gho_secret", long).await, "token_command printed more than 64KiB");
    // Whoever reads the pipe sees its end when the last of the group is dead.
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || fs::read(pipe)
    });
    let hangs = format!("exec 7>{}; sleep 1000 & wait", pipe.display());
    let error = told(&hangs, Duration::from_millis(300)).await;
    assert_eq!(error, "token_command did not end within 0.3s");
    assert_eq!(read.await.unwrap().unwrap(), b"");
    let missing = TokenSource::Command(vec!["/no/such/helper".into()]);
    let error = Outfitter::new(OutfitSettings { token: missing, ..settings(&folder) }).print(&user("ann")).await;
    assert!(error.unwrap_err().to_string().starts_with("token_command could not be started"));
}

/// Needs root: elsewhere it only sees that this is said.
#[tokio::test]
async fn each_home_has_a_user_of_its_own() {
    let folder = Folder::new();
    fs::set_permissions(&folder.0, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let with = |uids| Outfitter::new(OutfitSettings { uids: Some(uids), ..settings(&folder) });
    let outfitter = with(20_000..=20_001);
    let ann = outfitter.kit(&user("ann")).await;
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(ann, Err(OutfitError::NotRoot)));
        return;
    }
    let owner = |name: &str| {
        let found = fs::metadata(folder.0.join("homes/corp").join(name)).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    outfitter.kit(&user("bob")).await.unwrap();
    assert_eq!((owner("ann"), owner("bob")), ((20_000, 20_000, 0o700), (20_001, 20_001, 0o700)));
    let error = outfitter.kit(&user("eve")).await.unwrap_err();
    assert_eq!(error.to_string(), "no user id is free: the 2 of `uid_range` belong to other homes");
    // Whatever forgot them, their homes did not.
    let again = with(20_000..=20_009).kit(&user("bob")).await.unwrap().dress(SuperviseSettings::default());
    assert_eq!(again.credentials.map(|who| who.uid), Some(20_001));
    let error = with(30_000..=30_009).kit(&user("ann")).await.unwrap_err();
    assert!(error.to_string().contains("belongs to the user id 20000, which is not one of 30000-30009"), "{error}");

    fs::set_permissions(&folder.0, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let error = with(20_000..=20_009).kit(&user("bob")).await.unwrap_err();
    assert!(error.to_string().contains("is closed to other users"), "{error}");
}
