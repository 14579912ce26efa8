//! Files in which listeners, pools or backends are wrong.

use super::{Case, refuses};

const SOUND_LISTENER: &str = "\n[[listener]]\nname = \"ok\"\nbind = \"127.0.0.1:0\"\npool = \"ok\"\n";

const LISTENERS: &[Case] = &[
    Case { text: "", problems: &[(1, "listener", &["found nothing; expected at least one listener"])] },
    Case { text: "listener = 5\n", problems: &[(1, "listener", &["integer 5", "array of tables"])] },
    Case {
        text: "[listener]\nname = \"a\"\n",
        problems: &[(1, "listener", &["found a table", "[[listener]] with double brackets"])],
    },
    Case { text: "listener = [ 5 ]\n", problems: &[(1, "listener[0]", &["integer 5", "a table"])] },
    Case {
        text: "[[listener]]\n",
        problems: &[
            (1, "listener[0].bind", &["found nothing", "add `bind = \"127.0.0.1:4321\"`"]),
            (1, "listener[0].name", &["found nothing", "add `name = \"sdk\"`"]),
            (1, "listener[0].pool", &["found nothing", "add `pool = \"copilot\"`"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"copilto\"\n[pool.copilot]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[(4, "listener[0].pool", &["no pool", "pools copilot", "did you mean `copilot`?"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\n",
        problems: &[(4, "listener[0].pool", &["which has none", "add [pool.x]"])],
    },
    Case {
        text: "[[listener]]\nname = \"a b\"\nbind = \"127.0.0.1:1\"\npool = 7\nmax_clients = 0\nmode = \"sessions\"\nmax_frame = \"1MiB\"\n",
        problems: &[
            (2, "listener[0].name", &["\"a b\"", "1 to 64"]),
            (4, "listener[0].pool", &["integer 7"]),
            (5, "listener[0].max_clients", &["integer 0"]),
            (6, "listener[0].mode", &["did you mean `session`?"]),
            (7, "listener[0].max_frame", &["did you mean `session.max_frame`?"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\nquick = \"1s\"\n[listener.session]\nmax_frame = \"32MB\"\nclient_buffer = \"1KiB\"\nmax_in_flight = 1.5\nallow_runtime_shutdown = \"true\"\ntimeouts = { quick = \"1ms\", creat = \"5s\" }\n",
        problems: &[
            (4, "listener[0].pool", &["no pool"]),
            (5, "listener[0].quick", &["did you mean `session.timeouts.quick`?"]),
            (7, "listener[0].session.max_frame", &["\"32MB\"", "units: B, KiB, MiB, GiB"]),
            (8, "listener[0].session.client_buffer", &["\"1KiB\"", "from \"16KiB\""]),
            (9, "listener[0].session.max_in_flight", &["float 1.5", "whole number"]),
            (10, "listener[0].session.allow_runtime_shutdown", &["without the quotes"]),
            (11, "listener[0].session.timeouts.quick", &["\"1ms\"", "\"100ms\""]),
            (11, "listener[0].session.timeouts.creat", &["did you mean `create`?"]),
        ],
    },
];

const POOLS: &[Case] = &[
    Case {
        text: "[pool.ok]\n",
        problems: &[(1, "pool.ok", &["neither backends nor discovery nor supervise", "one of them"])],
    },
    Case { text: "pool = \"ok\"\n", problems: &[(1, "pool", &["found \"ok\"; expected tables by name"])] },
    Case { text: "[[pool]]\n", problems: &[(1, "pool", &["[pool.NAME] with single brackets"])] },
    Case { text: "[pool]\nok = 1\n", problems: &[(2, "pool.ok", &["integer 1; expected a table"])] },
    Case {
        text: "[pool.ok]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n[pool.\"a b\"]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[(3, "pool.\"a b\"", &["found \"a b\"", "a name"])],
    },
    Case {
        text: "[pool.ok]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nsupervise = { count = 1 }\n",
        problems: &[(3, "pool.ok.supervise", &["both backends and supervise"])],
    },
    Case {
        text: "[pool.ok]\nbackends = [ { name = \"a\", address = \"a:1\" }, { name = \"b\", address = \"b:1\" } ]\n",
        problems: &[(1, "pool.ok.storage", &["found nothing", "\"shared\" or \"local\"", "COPILOT_HOME"])],
    },
    Case {
        text: "[pool.ok]\nstorage = \"loca\"\npolicy = \"least_sessions\"\nhash_key = \"client\"\nload_bound = 0.5\nload_bound_floor = -1\nmax_frame = 5\nresolve_interval = \"0s\"\nconnect_timeout = []\nbackends = [ { name = \"a\", address = \"a:1\" }, { name = \"b\", address = \"b:1\" } ]\n",
        problems: &[
            (2, "pool.ok.storage", &["did you mean `local`?"]),
            (3, "pool.ok.policy", &["did you mean `least-sessions`?"]),
            (4, "pool.ok.hash_key", &["\"session\", \"client-address\""]),
            (5, "pool.ok.load_bound", &["float 0.5", "from 1 to 100, or 0 (off)"]),
            (6, "pool.ok.load_bound_floor", &["integer -1"]),
            (7, "pool.ok.max_frame", &["integer 5", "from \"1KiB\""]),
            (8, "pool.ok.resolve_interval", &["\"0s\"", "from \"1s\""]),
            (9, "pool.ok.connect_timeout", &["an array of 0"]),
        ],
    },
    Case {
        text: "[pool.ok]\nload_bound = nan\nbackends = []\n",
        problems: &[(1, "pool.ok", &["neither"]), (2, "pool.ok.load_bound", &["float nan"])],
    },
    Case {
        text: "[pool.ok]\nstorage = \"local\"\nbackends = [\n { name = \"a\", address = \"a\" },\n { name = \"a\", address = \"http://a:1\" },\n { name = \"c\", address = \"[::1]:0\", weight = 0 },\n { name = \"d\", address = \"300.1.1.1:1\", weight = 1001, drain = 1 },\n { adress = \"e:1\", name = \"\" },\n 6,\n]\n",
        problems: &[
            (4, "pool.ok.backends[0].address", &["found \"a\"", "the port is missing: \"a:4321\""]),
            (5, "pool.ok.backends[1].name", &["\"a\"", "backends[0]"]),
            (5, "pool.ok.backends[1].address", &["without a scheme"]),
            (6, "pool.ok.backends[2].address", &["[::1]:0", "port from 1"]),
            (6, "pool.ok.backends[2].weight", &["integer 0", "from 1 to 1000"]),
            (7, "pool.ok.backends[3].address", &["300.1.1.1:1"]),
            (7, "pool.ok.backends[3].weight", &["integer 1001"]),
            (7, "pool.ok.backends[3].drain", &["true or false"]),
            (8, "pool.ok.backends[4].address", &["found nothing"]),
            (8, "pool.ok.backends[4].adress", &["did you mean `address`?"]),
            (8, "pool.ok.backends[4].name", &["\"\""]),
            (9, "pool.ok.backends[5]", &["integer 6; expected a table"]),
        ],
    },
    Case {
        text: "[pool.ok]\nbackends = { name = \"a\" }\n",
        problems: &[(2, "pool.ok.backends", &["double brackets"])],
    },
    Case {
        text: "[pool.ok.supervise]\n",
        problems: &[(1, "pool.ok.supervise.count", &["found nothing", "add `count = 3`"])],
    },
    Case {
        text: "[pool.ok.supervise]\ncount = 11\nport_range = \"4400-4409\"\n",
        problems: &[(3, "pool.ok.supervise.port_range", &["10 ports for 11 CLIs", "at least 11 ports"])],
    },
    Case {
        text: "[pool.ok]\nstorage = \"local\"\n[pool.ok.supervise]\ncount = 101\ncommand = \"copilot\"\nport_range = \"4500-4400\"\nhome = \"\"\nname_prefix = \"a/b\"\nrestart_backoff = { min = \"1m\" }\n",
        problems: &[
            (2, "pool.ok.storage", &["\"local\"", "\"shared\"", "one COPILOT_HOME"]),
            (5, "pool.ok.supervise.command", &["found a string", "no shell"]),
            (6, "pool.ok.supervise.port_range", &["4500-4400", "the smaller one first"]),
            (7, "pool.ok.supervise.home", &["a path"]),
            (8, "pool.ok.supervise.name_prefix", &["\"a/b\"", "1 to 58"]),
            (9, "pool.ok.supervise.restart_backoff.min", &["from 60s to 30s"]),
        ],
    },
    Case {
        text: "[pool.ok.supervise]\ncount = 1\ncommand = [\"copilot\", \"--port\", \"{prot}\"]\n",
        problems: &[(3, "pool.ok.supervise.command", &["without {port}", "did you mean `{port}`?"])],
    },
    Case {
        text: "[pool.ok.supervise]\ncount = 1\ncommand = [\"\", 5, \"{port}\"]\n",
        problems: &[
            (3, "pool.ok.supervise.command[0]", &["string that cannot be used"]),
            (3, "pool.ok.supervise.command[1]", &["integer that cannot be used"]),
        ],
    },
    Case {
        text: "[pool.ok.supervise]\ncount = 1\nhome = \"/h\"\nenv = { COPILOT_HOME = \"/x\", \"A-B\" = \"1\", COPILOT_CONNECTION_TOKEN = { env = \"TOKEN\" }, N = 1 }\n",
        problems: &[
            (4, "pool.ok.supervise.env.COPILOT_HOME", &["beside `home`"]),
            (4, "pool.ok.supervise.env.A-B", &["name of an environment variable"]),
            (4, "pool.ok.supervise.env.COPILOT_CONNECTION_TOKEN", &["`connection_token` of the pool"]),
            (4, "pool.ok.supervise.env.N", &["integer (not shown)"]),
        ],
    },
];

#[test]
fn listeners() {
    refuses(LISTENERS, "");
}

#[test]
fn pools() {
    refuses(POOLS, SOUND_LISTENER);
}
