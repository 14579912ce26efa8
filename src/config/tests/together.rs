//! Files whose values are right one by one and wrong beside each other.

use super::{Case, REST, read, refuses};

const CASES: &[Case] = &[
    Case {
        text: "[store]\nkind = \"redis\"\ntopology = \"cluster\"\naddresses = [\"unix:/run/redis.sock\"]\ndatabase = 1\ntls_cert = \"a.pem\"\n",
        problems: &[
            (4, "store.addresses[0]", &["unix:/run/redis.sock", "a host and a port"]),
            (5, "store.database", &["a Cluster has no other one"]),
            (6, "store.tls_cert", &["no `tls_key` beside it"]),
            (6, "store.tls_cert", &["tls = true"]),
        ],
    },
    Case {
        text: "[store]\nkind = \"redis\"\naddresses = []\n",
        problems: &[(3, "store.addresses", &["at least one address"])],
    },
    Case {
        text: "[pool.x]\nstorage = \"shared\"\ndiscovery = { dns = \"a.b\" }\n[pool.y]\nstorage = \"shared\"\nbackends = [ { name = \"a\", address = \"h:1\" } ]\ndiscovery = { dns = \"_a._tcp.b\", port = 1 }\n[pool.z]\ndiscovery = { }\n",
        problems: &[
            (3, "pool.x.discovery", &["no port beside `dns`", "add `port = 4321`"]),
            (7, "pool.y.discovery", &["both backends and discovery"]),
            (7, "pool.y.discovery.port", &["a port beside SRV records"]),
            (8, "pool.z.storage", &["\"shared\" or \"local\""]),
            (9, "pool.z.discovery", &["neither dns nor file"]),
        ],
    },
    Case {
        text: "[pool.x]\nstorage = \"shared\"\ndiscovery = { dns = \"a.b\", port = 1, file = \"f\" }\n[pool.y]\nstorage = \"shared\"\ndiscovery = { dns = \"a.b\", port = 1, min_ttl = \"2m\", max_ttl = \"1m\" }\n[pool.z]\nstorage = \"shared\"\ndiscovery = { file = \"f\", weight = 2, timeout = \"1s\" }\n",
        problems: &[
            (3, "pool.x.discovery.file", &["both dns and file"]),
            (6, "pool.y.discovery.min_ttl", &["120s, with a max_ttl of 60s"]),
            (9, "pool.z.discovery.weight", &["a key of `dns` beside `file`"]),
            (9, "pool.z.discovery.timeout", &["a key of `dns` beside `file`"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"ok\"\nbind = \"127.0.0.1:1\"\npool = \"ok\"\n",
        problems: &[(7, "listener[1].name", &["\"ok\"", "listener[0]"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4320\"\npool = \"ok\"\n",
        problems: &[(3, "listener[0].bind", &["127.0.0.1:4320", "taken by admin.bind"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"ok\"\n[[listener]]\nname = \"b\"\nbind = \"[::]:4\"\npool = \"ok\"\n[listener.session]\n",
        problems: &[(7, "listener[1].bind", &["[::]:4", "taken by listener[0].bind", "covers each"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"ok\"\nmode = \"connection\"\nconnection_token = { env = \"TOKEN\" }\n[listener.session]\nmax_frame = \"1MiB\"\nauth_timeout = \"1s\"\n",
        problems: &[
            (6, "listener[0].connection_token", &["mode \"session\"", "leave it out"]),
            (8, "listener[0].session.max_frame", &["mode \"session\"", "mode, \"connection\""]),
            (9, "listener[0].session.auth_timeout", &["mode \"session\""]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"ok\"\nconnection = { proxy_protocol = \"v2\" }\n",
        problems: &[(5, "listener[0].connection.proxy_protocol", &["mode \"connection\""])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:4\"\npool = \"ok\"\nconnection_token = { env = \"TOKEN\" }\n[pool.x]\nbackends = [ { name = \"a\", address = \"localhost:4\" } ]\n",
        problems: &[(7, "pool.x.backends[0].address", &["where pilotfish itself listens", "listener[0].bind"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"x\"\n[pool.x]\nstorage = \"shared\"\nbackends = [\n{ name = \"a\", address = \"h:1\", drain = true, state = \"ready\" },\n{ name = \"b\", address = \"h:2\", drain = false, state = \"drain\" },\n{ name = \"c\", address = \"h:3\", drain = true, state = \"drain\" },\n{ name = \"d\", address = \"h:4\", state = \"ready\" } ]\n",
        problems: &[
            (8, "pool.x.backends[0].state", &["\"ready\" beside `drain = true`", "one of them"]),
            (9, "pool.x.backends[1].state", &["\"drain\" beside `drain = false`"]),
        ],
    },
    Case {
        text: "[admin]\nbind = \"127.0.0.1:4450\"\n[pool.a.supervise]\ncount = 1\n[pool.b.supervise]\ncount = 1\nport_range = \"4499-4500\"\n",
        problems: &[
            (3, "pool.a.supervise.port_range", &["port 4450", "admin.bind"]),
            (7, "pool.b.supervise.port_range", &["overlaps pool.a.supervise.port_range"]),
        ],
    },
    Case {
        text: "[pool.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.supervise]\ncount = 1\n",
        problems: &[(
            1,
            "pool.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.supervise.name_prefix",
            &["at most 58 characters"],
        )],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"x\"\n[pool.x]\nstorage = \"shared\"\nbackends = [ { name = \"a\", address = \"h:1\" }, { name = \"b\", address = \"h:2\" } ]\n[pool.x.recycle]\nmax_age = \"1d\"\nmax_memory = \"1GiB\"\nmax_descriptors = 100\n",
        problems: &[
            (8, "pool.x.recycle.on_recycle", &["limits and no command", "add on_recycle = ["]),
            (10, "pool.x.recycle.max_memory", &["does not start", "a supervised pool"]),
            (11, "pool.x.recycle.max_descriptors", &["does not start"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:4\"\npool = \"x\"\n[pool.x.supervise]\ncount = 2\n[pool.x.recycle]\nmax_memory = \"1GiB\"\non_recycle = [\"restart\"]\n",
        problems: &[(9, "pool.x.recycle.on_recycle", &["a command in a supervised pool", "leave this out"])],
    },
];

#[test]
fn beside_each_other() {
    refuses(CASES, REST);
}

#[test]
fn everything_of_a_file_is_told_at_once() {
    let text = "[admin]\nbind = 5\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"y\"\n\
        [pool.x]\nbackends = []\n[pool.x.health]\nrise = \"a\"\n[logs]\n";
    let problems = read(text).unwrap_err();
    let keys: Vec<&str> = problems.errors.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["admin.bind", "listener[0].pool", "pool.x", "pool.x.health.rise", "logs"]);
    assert_eq!(problems.to_string().lines().count(), 6);
    assert_eq!(
        problems.to_string().lines().next().unwrap(),
        "test.toml:2:8: error: admin.bind: found integer 5; expected an IP address and a port such as \
         \"127.0.0.1:4321\" or \"[::1]:4321\"; port 0 takes a free one"
    );
    assert_eq!(problems.warnings.len(), 1, "the pool x is not used");
}

/// What was refused by itself must not be complained of again because of its stand-in.
#[test]
fn a_refused_value_has_no_consequences() {
    let text = "[[listener]]\nname = \"a\"\nbind = 1\npool = 2\n[[listener]]\nname = 3\nbind = 4\npool = \"x\"\n\
        [pool.x]\nbackends = 5\n[pool.y]\nsupervise = 6\n[pool.z.supervise]\ncount = 7\nport_range = 8\nrestart_backoff = { max = 9 }\n\
        [pool.w]\nstorage = 1\nbackends = [ { name = 1, address = 1 }, { name = 2, address = 2 } ]\nhealth = { timeout = 1, protocol_version = 7 }\n";
    let problems = read(text).unwrap_err();
    assert!(problems.errors.iter().all(|p| p.found.starts_with("integer")), "{problems}");
    assert_eq!((problems.errors.len(), problems.warnings.len()), (15, 0), "{problems}");
}

#[test]
fn a_refused_tenant_has_no_consequences() {
    let text = "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\ntenant = 1\njwt = 2\n\
        [pool.x]\nposture = 3\ntenant = 4\nsession_ids = 5\nsession_id_template = 6\nbackends = [ { name = \"a\", address = \"h:1\" } ]\n\
        [pool.y]\nposture = \"dedicated\"\ntenant = 7\nguards = 8\nmethods = 9\nbackends = [ { name = \"a\", address = \"h:2\" } ]\n\
        [[listener]]\nname = \"b\"\nbind = \"127.0.0.1:2\"\npool = \"y\"\n\
        [[tenant]]\nname = 10\nusers = 11\ntokens = 12\npools = 13\nshare = 14\n\
        [[tenant]]\nname = 15\ntokens = [ 16 ]\npools = [ 17 ]\nshare = [ { session = 18, with = [ 19 ] } ]\nmethods = { allow = [ 20 ] }\n";
    let problems = read(text).unwrap_err();
    assert!(problems.errors.iter().all(|p| p.found.starts_with("integer")), "{problems}");
    assert_eq!((problems.errors.len(), problems.warnings.len()), (20, 0), "{problems}");
    let problems = read(
        "tenant = 1\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\ntenant = \"a\"\n[pool.x.supervise]\ncount = 1\n",
    );
    assert_eq!(problems.unwrap_err().to_string().lines().count(), 1);
}
