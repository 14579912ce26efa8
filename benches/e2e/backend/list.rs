//! The list of all sessions on a disk, in the runtime's layout.

use std::{cell::RefCell, fmt::Write as _, rc::Rc};

use crate::{frames::START, out::Out};

thread_local! {
    static LIST: RefCell<Rc<Vec<u8>>> = RefCell::default();
}

/// What this thread's backends list from now on.
pub fn keep(entries: Rc<Vec<u8>>) {
    LIST.set(entries);
}

/// The entries of `count` sessions, the first `old` of which nobody has used for years.
pub fn entries(count: usize, old: usize) -> Vec<u8> {
    let mut text = String::new();
    for at in 0..count {
        let (comma, name) = (if at > 0 { "," } else { "" }, if at < old { "old" } else { "new" });
        let year = if at < old { 2020 } else { 2035 };
        write!(
            text,
            r#"{comma}{{"sessionId":"{name}-5e0f5a9c-83d2-4b1e-9a6f-{at:012x}","startTime":"2020-01-01T00:00:00.000Z","modifiedTime":"{year}-01-01T00:00:00.000Z","summary":"Explain the build","isRemote":false,"context":{{"cwd":"/srv/work/repository"}}}}"#
        )
        .ok();
    }
    text.into_bytes()
}

/// The answer to a request for the list.
pub fn answer(id: &str, out: &mut Out) {
    const BEGIN: &str = r#","result":{"sessions":["#;
    const END: &str = "]}}";
    let entries = LIST.with_borrow(Rc::clone);
    let length = START.len() + id.len() + BEGIN.len() + entries.len() + END.len();
    let own = out.own();
    own.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
    own.extend_from_slice(START);
    own.extend_from_slice(format!("{id}{BEGIN}").as_bytes());
    out.share(&entries);
    out.own().extend_from_slice(END.as_bytes());
}
