//! Files in which single values or keys are wrong.

use super::{Case, REST, refuses};

const CASES: &[Case] = &[
    Case {
        text: "[admn]\nbind = 1\n",
        problems: &[(1, "admn", &["unknown key", "did you mean `admin`?", "runtime, log, admin"])],
    },
    Case {
        text: "[pool.x]\nstorage = \"shared\"\n[pool.x.discovery]\ndns = \"a..b\"\nport = 0\nrecords = \"txt\"\nresolvers = [\"dns.example.org\", \"127.0.0.1:0\"]\nmin_ttl = \"1ms\"\nmax_ttl = \"2h\"\ntimeout = 5\nkeep_empty = \"2h\"\nremoval_delay = \"-1s\"\nweight = 0\nfile = \"\"\n",
        problems: &[
            (4, "pool.x.discovery.dns", &["\"a..b\"", "a DNS name"]),
            (5, "pool.x.discovery.port", &["integer 0", "from 1 to 65535"]),
            (6, "pool.x.discovery.records", &["\"txt\"", "\"a\"", "\"srv\""]),
            (7, "pool.x.discovery.resolvers[0]", &["the IP address of a name server"]),
            (7, "pool.x.discovery.resolvers[1]", &["127.0.0.1:0"]),
            (8, "pool.x.discovery.min_ttl", &["\"1ms\""]),
            (9, "pool.x.discovery.max_ttl", &["\"2h\""]),
            (10, "pool.x.discovery.timeout", &["integer 5"]),
            (11, "pool.x.discovery.keep_empty", &["\"2h\""]),
            (12, "pool.x.discovery.removal_delay", &["\"-1s\""]),
            (13, "pool.x.discovery.weight", &["integer 0"]),
            (14, "pool.x.discovery.file", &["a path"]),
        ],
    },
    Case {
        text: "[pool.x]\nstorage = \"shared\"\n[pool.x.discovery]\ndns = \"10.0.0.1\"\n",
        problems: &[(4, "pool.x.discovery.dns", &["put it into `backends`"])],
    },
    Case {
        text: "[pool.x]\nstorage = \"shared\"\n[pool.x.discovery]\ndns = \"a.b:4321\"\n",
        problems: &[(4, "pool.x.discovery.dns", &["dns = \"a.b\", port = 4321"])],
    },
    Case {
        text: "[admin]\nbnid = \"127.0.0.1:1\"\n",
        problems: &[(2, "admin.bnid", &["unknown key", "did you mean `bind`?"])],
    },
    Case { text: "[admin]\nzzzzzz = 1\n", problems: &[(2, "admin.zzzzzz", &["unknown key; expected one of bind"])] },
    Case { text: "admin = 5\n", problems: &[(1, "admin", &["found integer 5; expected a table"])] },
    Case { text: "[[admin]]\n", problems: &[(1, "admin", &["array", "[admin] with single brackets"])] },
    Case {
        text: "[admin]\nbind = \"localhost:4320\"\n",
        problems: &[(2, "admin.bind", &["\"localhost:4320\"", "did you mean `127.0.0.1:4320`?"])],
    },
    Case { text: "[admin]\nbind = \":4320\"\n", problems: &[(2, "admin.bind", &["`0.0.0.0:4320` or `[::]:4320`"])] },
    Case {
        text: "[admin]\nbind = 4320\n",
        problems: &[(2, "admin.bind", &["found integer 4320", "an IP address and a port"])],
    },
    Case { text: "[admin]\nbind = \"127.0.0.1:70000\"\n", problems: &[(2, "admin.bind", &["127.0.0.1:70000"])] },
    Case { text: "[admin]\nbind = \"::1:4320\"\n", problems: &[(2, "admin.bind", &["brackets: \"[::1]:4321\""])] },
    Case {
        text: "[runtime]\nworker_threads = 0\n",
        problems: &[(2, "runtime.worker_threads", &["integer 0", "a whole number from 1 to 1024"])],
    },
    Case {
        text: "[runtime]\nworker_threads = \"4\"\n",
        problems: &[(2, "runtime.worker_threads", &["found \"4\"", "without the quotes"])],
    },
    Case {
        text: "[runtime]\nworker_threads = 99999999999999999999\n",
        problems: &[(2, "runtime.worker_threads", &["99999"])],
    },
    Case {
        text: "[store]\nkind = \"redsi\"\n",
        problems: &[(2, "store.kind", &["did you mean `redis`?", "\"memory\", \"redis\""])],
    },
    Case {
        text: "[store]\naddresses = [\"redis://me:s3cret@host\", \"host:x\", \"host/1\", \"http://host\", 5]\n",
        problems: &[
            (2, "store.addresses[0]", &["(not shown)", "`username` and `password`"]),
            (2, "store.addresses[1]", &["\"host:x\"", "a number from 1 to 65535", "HOST:PORT"]),
            (2, "store.addresses[2]", &["`database` takes it"]),
            (2, "store.addresses[3]", &["redis, rediss or unix"]),
            (2, "store.addresses[4]", &["integer 5"]),
        ],
    },
    Case { text: "[store]\npassword = \"s3cret\"\n", problems: &[(2, "store.password", &["{ env = \"NAME\" }"])] },
    Case { text: "[store]\nprefix = \"a{b}\"\n", problems: &[(2, "store.prefix", &["braces"])] },
    Case { text: "[store]\nttl = \"1ms\"\n", problems: &[(2, "store.ttl", &["from \"300ms\" to \"10m\""])] },
    Case {
        text: "[log]\nformat = \"jsno\"\n",
        problems: &[(2, "log.format", &["did you mean `json`?", "\"text\", \"json\""])],
    },
    Case {
        text: "[log]\nlevel = \"inof\"\n",
        problems: &[(2, "log.level", &["found \"inof\"", "did you mean `info`?"])],
    },
    Case { text: "[log]\nlevel = \"info,a=b=c\"\n", problems: &[(2, "log.level", &["directives"])] },
    Case { text: "[log]\nlevel = \"debug,hyper=wran\"\n", problems: &[(2, "log.level", &["did you mean `warn`?"])] },
    Case { text: "[log]\nlevel = true\n", problems: &[(2, "log.level", &["boolean true"])] },
    Case {
        text: "[shutdown]\ndrain_timeout = \"5 parsecs\"\n",
        problems: &[(
            2,
            "shutdown.drain_timeout",
            &["\"5 parsecs\"", "from \"0s\" to \"1h\"", "units: ms, s, m, h, d"],
        )],
    },
    Case {
        text: "[shutdown]\ndrain_timeout = 30\nreadiness_lead = \"-1s\"\n",
        problems: &[
            (2, "shutdown.drain_timeout", &["integer 30", "with a unit, such as \"30s\""]),
            (3, "shutdown.readiness_lead", &["\"-1s\""]),
        ],
    },
    Case {
        text: "[shutdown]\ndrain_timeout = \"2h\"\n",
        problems: &[(2, "shutdown.drain_timeout", &["\"2h\"", "to \"1h\""])],
    },
    Case {
        text: "[pool.ok.health]\ninterval = \"0s\"\ntimeout = \"\"\nrise = 0\nfall = -1\njitter = 1.5\npanic_threshold = 101\non_down = \"cutt\"\npassive = \"yes\"\nslow_start = 1979-05-27\n",
        problems: &[
            (2, "pool.ok.health.interval", &["\"0s\"", "from \"10ms\""]),
            (3, "pool.ok.health.timeout", &["\"\""]),
            (4, "pool.ok.health.rise", &["integer 0", "from 1"]),
            (5, "pool.ok.health.fall", &["integer -1"]),
            (6, "pool.ok.health.jitter", &["float 1.5", "from 0 to 1"]),
            (7, "pool.ok.health.panic_threshold", &["integer 101", "from 0 to 100"]),
            (8, "pool.ok.health.on_down", &["did you mean `cut`?"]),
            (9, "pool.ok.health.passive", &["\"yes\"", "true or false"]),
            (10, "pool.ok.health.slow_start", &["date 1979-05-27"]),
        ],
    },
    Case {
        text: "[pool.ok.health]\nintervall = \"5s\"\n",
        problems: &[(2, "pool.ok.health.intervall", &["did you mean `interval`?"])],
    },
    Case {
        text: "[pool.ok.health]\nprotocol_version = { min = 4, max = 3 }\n",
        problems: &[(2, "pool.ok.health.protocol_version.min", &["from 4 to 3", "min not above max"])],
    },
    Case {
        text: "[pool.ok.health.protocol_version]\nmax = 1\n",
        problems: &[(2, "pool.ok.health.protocol_version.max", &["from 2 to 1"])],
    },
];

#[test]
fn single_values() {
    refuses(CASES, REST);
}
