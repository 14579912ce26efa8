//! TLS: files, and what goes together.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rcgen::{CertificateParams, KeyPair};

use super::{REST, read};

/// A folder with certificates by the names that the sample has.
pub(super) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("pilotfish-config-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(["pilotfish".to_owned()]).unwrap().self_signed(&own).unwrap();
        for name in ["tls.crt", "clients-ca.crt", "backends-ca.crt"] {
            write(name, &certificate.pem(), 0o644);
        }
        write("tls.key", &own.serialize_pem(), 0o600);
        write("open.key", &own.serialize_pem(), 0o644);
        write("other.key", &other.serialize_pem(), 0o600);
        write("none", "nothing", 0o600);
        folder
    })
}

/// The errors and warnings of a file in which `DIR` is that folder, one a line.
fn told(text: &str) -> String {
    let text = text.replace("DIR", &folder().display().to_string());
    let (errors, warnings) = match read(&text) {
        Ok(config) => (Vec::new(), config.warnings),
        Err(problems) => (problems.errors, problems.warnings),
    };
    errors.iter().chain(&warnings).map(|problem| problem.to_string() + "\n").collect()
}

fn listener(keys: &str) -> String {
    format!(
        "[[listener]]\nname = \"sdk\"\nbind = \"127.0.0.1:0\"\npool = \"ok\"\n{keys}\n[pool.ok]\n\
        backends = [ {{ name = \"ok\", address = \"backend:1\" }} ]\n"
    )
}

const RIGHT: &str = "cert = \"DIR/tls.crt\", key = \"DIR/tls.key\"";

#[test]
fn what_is_right_is_taken() {
    for tls in [
        format!("tls = {{ {RIGHT} }}"),
        format!("tls = {{ {RIGHT}, client_ca = \"DIR/clients-ca.crt\" }}"),
        format!("tls = {{ {RIGHT}, client_ca = \"DIR/clients-ca.crt\", client_auth = \"optional\" }}"),
        "proxy_protocol_from = [ \"10.0.0.0/8\", \"::1\", \"unix:\" ]".to_owned(),
    ] {
        assert_eq!(told(&listener(&tls)), "", "{tls}");
    }
    let pool = "tls = { ca = \"DIR/backends-ca.crt\", cert = \"DIR/tls.crt\", key = \"DIR/tls.key\", server_name = \"cli\" }\n";
    assert_eq!(told(&format!("{}{pool}", listener(""))), "");
}

#[test]
fn what_is_wrong_is_told_with_its_key() {
    let cases = [
        ("cert = \"DIR/absent\", key = \"DIR/tls.key\"", "tls.cert", "No such file"),
        ("cert = \"DIR/none\", key = \"DIR/tls.key\"", "tls.cert", "no certificate in PEM"),
        ("cert = \"DIR/tls.crt\", key = \"DIR/none\"", "tls.key", "no private key in PEM"),
        ("cert = \"DIR/tls.crt\", key = \"DIR/other.key\"", "tls.key", "does not belong to the certificate"),
        ("cert = \"DIR/tls.crt\", key = \"DIR/open.key\"", "warning: listener[0].tls.key", "may read (mode 0644)"),
        ("cert = \"DIR/tls.crt\"", "tls.key", "found nothing"),
    ];
    for (keys, key, words) in cases {
        let told = told(&listener(&format!("tls = {{ {keys} }}")));
        assert!(told.contains(key) && told.contains(words) && told.lines().count() == 1, "{keys}:\n{told}");
    }
    let cases = [
        ("client_ca = \"DIR/none\"", "tls.client_ca", "no certificate in PEM"),
        ("client_ca = \"DIR/clients-ca.crt\", client_auth = \"off\"", "tls.client_ca", "another `client_auth`"),
        ("client_auth = \"required\"", "tls.client_auth", "no `client_ca` beside it"),
        ("client_auth = \"sometimes\"", "tls.client_auth", "\"optional\""),
    ];
    for (keys, key, words) in cases {
        let told = told(&listener(&format!("tls = {{ {RIGHT}, {keys} }}")));
        assert!(told.contains(key) && told.contains(words) && told.lines().count() == 1, "{keys}:\n{told}");
    }
}

#[test]
fn backends_with_tls() {
    let cases = [
        ("cert = \"DIR/tls.crt\"", "tls.cert", "no `key` beside it"),
        ("ca = \"DIR/absent\"", "tls.ca", "No such file"),
        ("cert = \"DIR/tls.crt\", key = \"DIR/other.key\"", "tls.key", "does not belong"),
    ];
    for (keys, key, words) in cases {
        let told = told(&format!("{}tls = {{ {keys} }}\n", listener("")));
        assert!(told.contains(key) && told.contains(words) && told.lines().count() == 1, "{keys}:\n{told}");
    }
    let socket = listener("").replace("backend:1", "unix:/run/cli.sock");
    assert_eq!(told(&socket), "");
    assert!(told(&format!("{socket}tls = {{ ca = \"DIR/tls.crt\" }}\n")).contains("backends[0] is a Unix socket"));
    let supervised =
        "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\n[pool.x]\ntls = {}\n[pool.x.supervise]\n";
    assert!(told(supervised).contains("speak no TLS"));
}

#[test]
fn who_has_to_show_a_certificate_is_no_stranger() {
    let open = |tls: &str| told(&listener(tls).replace("127.0.0.1:0", "0.0.0.0:0"));
    let auth = |auth: &str| {
        open(&format!("tls = {{ {RIGHT}, client_ca = \"DIR/clients-ca.crt\", client_auth = \"{auth}\" }}"))
    };
    assert_eq!(auth("required"), "");
    assert!(auth("optional").contains("no connection_token") && open("").contains("no connection_token"));
}

#[test]
fn names_of_certificates_are_one_tenants() {
    let tls = format!("tls = {{ {RIGHT}, client_ca = \"DIR/clients-ca.crt\" }}");
    let with = |tls: &str, a: &str, b: &str| {
        let tenants = format!(
            "[[tenant]]\nname = \"a\"\ncertificates = [ {a} ]\n[[tenant]]\nname = \"b\"\ncertificates = [ {b} ]\n"
        );
        told(&format!("{}{tenants}", listener(tls)))
    };
    assert_eq!(with(&tls, "\"a.example\", \"spiffe://a\"", "\"b@b.example\""), "");
    let twice = with(&tls, "\"A.example\"", "\"a.example\"");
    assert!(twice.contains("tenant[1].certificates[0]") && twice.contains("stands at tenant[0].certificates[0] too"));
    assert!(with(&tls, "\"*.example\"", "\"b.example\"").contains("a wildcard is nobody"));
    let unasked = with(&format!("tls = {{ {RIGHT} }}"), "\"a.example\"", "\"b.example\"");
    assert!(unasked.contains("no way to log in") && unasked.contains("no listener asks for certificates"), "{unasked}");
}

#[test]
fn sockets_and_load_balancers() {
    let bad = [
        ("bind = \"unix:relative\"", "listener[0].bind", "an absolute path"),
        ("bind = \"unix:/tmp/a\"\nsocket_mode = \"0999\"", "listener[0].socket_mode", "three octal digits"),
        ("bind = \"unix:/tmp/a\"\nsocket_mode = 660", "listener[0].socket_mode", "in quotes"),
        ("bind = \"127.0.0.1:0\"\nsocket_mode = \"0600\"", "listener[0].socket_mode", "permissions of a port"),
        ("bind = \"127.0.0.1:0\"\nproxy_protocol_from = [ \"10.0.0.0/40\" ]", "proxy_protocol_from[0]", "10.0.0.0/8"),
    ];
    for (keys, key, words) in bad {
        let told = told(&format!("[[listener]]\nname = \"a\"\npool = \"ok\"\n{keys}\n{REST}"));
        assert!(told.contains(key) && told.contains(words) && told.lines().count() == 1, "{keys}:\n{told}");
    }
    let twice = "[[listener]]\nname = \"a\"\npool = \"ok\"\nbind = \"unix:/tmp/a\"\n[[listener]]\nname = \"b\"\npool = \"ok\"\nbind = \"unix:/tmp/a\"\n";
    assert!(
        told(&format!("{twice}{REST}"))
            .contains("listener[1].bind: found unix:/tmp/a, which is taken by listener[0].bind")
    );
    let circle = listener("").replace("127.0.0.1:0", "unix:/tmp/a").replace("backend:1", "unix:/tmp/a");
    assert!(told(&circle).contains("where pilotfish itself listens (listener[0].bind)"));
}
