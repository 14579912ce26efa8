//! What the real CLI does with each method, as far as a proxy can tell.

use std::sync::{Arc, atomic::Ordering};

use serde_json::Value;
use uuid::Uuid;

use super::{
    conn::Conn,
    live::{State, Told},
    log, lookups, opening,
    outbox::{Close, Out},
    pending,
    record::Frame,
    script::Act,
    server::Inner,
    shapes,
    storage::{self, Kept},
    turn,
};

pub(super) type Answer = Result<String, (i64, String)>;

/// Takes a frame: records it, then acts as scripted or as usual.
pub fn receive(inner: &Arc<Inner>, conn: &Arc<Conn>, frame: Frame) {
    let act = {
        let mut state = inner.state();
        state.frames.push(frame.clone());
        take_rule(&mut state, frame.method())
    };
    inner.changed.send_replace(());
    match act {
        Some(act) => perform(inner, conn, frame, act),
        None => usual(inner, conn, &frame),
    }
}

fn take_rule(state: &mut State, method: &str) -> Option<Act> {
    let at =
        state.rules.iter().rposition(|rule| rule.method == method || (rule.method == "*" && !method.is_empty()))?;
    state.rules[at].left -= 1;
    let act = state.rules[at].act.clone();
    if state.rules[at].left == 0 {
        state.rules.remove(at);
    }
    Some(act)
}

fn perform(inner: &Arc<Inner>, conn: &Arc<Conn>, frame: Frame, act: Act) {
    match act {
        Act::Delay(_) | Act::Hold(_) => {
            let (inner, conn) = (inner.clone(), conn.clone());
            tokio::spawn(async move {
                match act {
                    Act::Delay(time) => tokio::time::sleep(time).await,
                    Act::Hold(gate) => gate.pass().await,
                    _ => {}
                }
                usual(&inner, &conn, &frame);
            });
        }
        Act::Reverse(count) => reverse(inner, conn, frame, count),
        Act::Fail { code, message } => reply(conn, &frame, Err((code, message))),
        Act::Answer(result) => reply(conn, &frame, Ok(result)),
        Act::Ignore => {}
        Act::Raw(bytes) => conn.out.push(Out::Bytes(bytes.into())),
        Act::End(how) => conn.out.push(Out::End(how)),
        Act::Die(how) => inner.die(how),
    }
}

fn reverse(inner: &Arc<Inner>, conn: &Arc<Conn>, frame: Frame, count: usize) {
    let batch = {
        let mut state = inner.state();
        state.reversed.push((conn.clone(), frame));
        if state.reversed.len() < count { Vec::new() } else { std::mem::take(&mut state.reversed) }
    };
    batch.iter().rev().for_each(|(conn, frame)| usual(inner, conn, frame));
}

fn usual(inner: &Arc<Inner>, conn: &Arc<Conn>, frame: &Frame) {
    if !inner.state().conns.contains_key(&conn.id) {
        return; // What was held back when its connection or the process ended is not done any more.
    }
    if frame.method().is_empty() {
        return answered(inner, conn, frame);
    }
    if frame.id().is_none() {
        return; // A notification: the real one ignores those that it does not know, and none needs an answer.
    }
    match frame.method() {
        "connect" => reply(conn, frame, connect(inner, conn, frame)),
        _ if inner.options.token.is_some() && !conn.connected.load(Ordering::Relaxed) => {
            reply(conn, frame, Err((-32001, "AUTHENTICATION_REQUIRED".into())));
        }
        "ping" => reply(conn, frame, ping(inner, frame)),
        "runtime.shutdown" => {
            reply(conn, frame, Ok("null".into()));
            conn.out.push(Out::End(Close::Fin));
            inner.state().conns.values().for_each(|conn| conn.out.push(Out::End(Close::Fin)));
        }
        _ => sessions(inner, conn, frame),
    }
}

/// An answer to a request of ours, or a body that is nothing at all.
fn answered(inner: &Inner, conn: &Conn, frame: &Frame) {
    let id = frame.value["id"].as_u64();
    let waiting = id.and_then(|id| inner.state().asked.remove(&(conn.id, id)));
    match waiting {
        Some(waiting) => drop(waiting.send(frame.value.clone())),
        None if frame.value == Value::Null => {
            conn.out.push(Out::Bytes(shapes::failure("null", -32700, "expected value at line 1 column 1")));
        }
        None if frame.value.get("result").is_none() && frame.value.get("error").is_none() => {
            let why = "not a recognizable JSON-RPC request, notification, or response";
            conn.out.push(Out::Bytes(shapes::failure("null", -32600, why)));
        }
        None => {} // A stray answer is ignored.
    }
}

fn connect(inner: &Inner, conn: &Conn, frame: &Frame) -> Answer {
    if let Some(token) = &inner.options.token
        && frame.params()["token"] != token.as_str()
    {
        return Err((-32002, "AUTHENTICATION_FAILED".into()));
    }
    conn.connected.store(true, Ordering::Relaxed);
    let version = inner.options.protocol_version.unwrap_or(3);
    Ok(format!(r#"{{"ok":true,"protocolVersion":{version},"version":"1.0.102","taskKinds":["agent","shell"]}}"#))
}

fn ping(inner: &Inner, frame: &Frame) -> Answer {
    let text = frame.params()["message"].as_str().map_or("pong".into(), |message| format!("pong: {message}"));
    let version = inner.options.protocol_version.unwrap_or(3);
    let (text, time) = (shapes::quote(&text), shapes::stamp());
    Ok(format!(r#"{{"message":{text},"timestamp":"{time}","protocolVersion":{version}}}"#))
}

fn sessions(inner: &Arc<Inner>, conn: &Arc<Conn>, frame: &Frame) {
    let mut state = inner.state();
    let (method, session) = (frame.method(), frame.session().to_owned());
    let live = state.live.contains_key(&session);
    if let Some(answer) = lookups::answer(&state, frame) {
        return reply(conn, frame, answer.or_else(|why| failed(method, &why)));
    }
    match method {
        "session.create" => opening::create(&mut state, conn, frame),
        "session.resume" => opening::resume(&mut state, conn, frame),
        "session.list" | "sessions.list" => {
            let list = state.storage.list();
            reply(conn, frame, Ok(format!(r#"{{"sessions":{list}}}"#)));
        }
        "session.getLastId" => {
            let id =
                state.storage.newest().map_or_else(String::new, |id| format!(r#""sessionId":{}"#, shapes::quote(&id)));
            reply(conn, frame, Ok(format!("{{{id}}}")));
        }
        "session.getMetadata" => {
            let row = state
                .storage
                .read(&session)
                .map_or_else(String::new, |kept| format!(r#""session":{}"#, storage::row(&session, &kept)));
            reply(conn, frame, Ok(format!("{{{row}}}")));
        }
        "session.detach" => {
            state.detach(&session, conn.id);
            reply(conn, frame, Ok(r#"{"success":true}"#.into()));
        }
        "session.destroy" => {
            let done = state.close(&session, Told::Shutdown);
            reply(conn, frame, Ok(format!(r#"{{"success":{done}}}"#)));
        }
        "sessions.close" => {
            state.close(&session, Told::Nothing);
            reply(conn, frame, Ok("{}".into()));
        }
        "session.delete" => delete(&mut state, conn, frame, &session),
        "sessions.delete" => delete_exactly(&mut state, conn, frame, &session),
        "sessions.bulkDelete" => bulk_delete(&mut state, conn, frame),
        "sessions.open" => opening::open(&mut state, conn, frame),
        _ if method.starts_with("session.factory.") => {
            reply(conn, frame, Err((-32601, format!("Unhandled method {method}"))));
        }
        _ if session.is_empty() && method.starts_with("session.") => {
            let why = format!("Missing sessionId in {method} request");
            reply(conn, frame, failed(method, &why));
        }
        "session.getMessages" if live => {
            reply(conn, frame, Ok(log::messages(&state.live[&session])));
        }
        "session.getMessages" => reply(conn, frame, failed(method, &format!("Session not found: {session}"))),
        _ if method.starts_with("session.") && !live => {
            reply(conn, frame, failed(method, &format!("Session not found for sessionId: {session}")));
        }
        "session.eventLog.read" => reply(conn, frame, Ok(log::read(&state.live[&session], frame.params()))),
        "session.eventLog.tail" => reply(conn, frame, Ok(log::tail(&state.live[&session]))),
        "session.metadata.activity" => reply(conn, frame, Ok(log::activity(&state.live[&session]))),
        "session.permissions.pendingRequests" => reply(conn, frame, Ok(pending::list(&state.live[&session]))),
        "session.tools.handlePendingToolCall" | "session.permissions.handlePendingPermissionRequest" => {
            let answer = state.live.get_mut(&session).map(|live| pending::handle(live, frame.params()));
            reply(conn, frame, Ok(answer.unwrap_or_default()));
        }
        "session.send" => {
            let message = Uuid::new_v4().to_string();
            let prompt = frame.params()["prompt"].as_str().unwrap_or("").to_owned();
            state.emit(&session, "pending_messages.modified", "{}", true);
            reply(conn, frame, Ok(turn::accepted(&message)));
            turn::send(inner, &mut state, &session, message, prompt);
        }
        "session.abort" => {
            turn::abort(&mut state, &session);
            reply(conn, frame, Ok(r#"{"success":true}"#.into()));
        }
        "session.suspend" => {
            turn::suspend(&mut state, &session);
            reply(conn, frame, Ok("null".into()));
        }
        "sessions.fork" => fork(&state, conn, frame, &session),
        "plugins.builtin.set"
        | "sessionFs.setProvider"
        | "llmInference.setProvider"
        | "registerExtensionLaunchProvider" => reply(conn, frame, Ok(r#"{"success":true}"#.into())),
        "session.foo" => reply(conn, frame, Err((-32601, format!("Unhandled method {method}")))),
        _ if method.starts_with("session.") => reply(conn, frame, Ok(r#"{"success":true}"#.into())),
        _ => reply(conn, frame, Err((-32601, format!("Unhandled method {method}")))),
    }
}

fn delete(state: &mut State, conn: &Conn, frame: &Frame, asked: &str) {
    let session = &lookups::resolved(state, asked);
    let answer = match deleted(state, session) {
        Ok(()) => r#"{"success":true}"#.into(),
        Err(why) => format!(r#"{{"success":false,"error":{}}}"#, shapes::quote(&why)),
    };
    reply(conn, frame, Ok(answer));
}

/// Unlike `session.delete` it takes an id for nothing but itself.
fn delete_exactly(state: &mut State, conn: &Conn, frame: &Frame, session: &str) {
    let answer = deleted(state, session).map(|()| "{}".into());
    reply(conn, frame, answer.or_else(|why| failed("sessions.delete", &why)));
}

/// What is live here goes without a word; what another process holds by its lock does not.
fn deleted(state: &mut State, session: &str) -> Result<(), String> {
    let holder = state.storage.read(session).and_then(|kept| kept.used_by);
    if holder.is_some_and(|holder| holder != state.process) {
        return Err(format!("Cannot delete session {session}: it is currently in use by another process."));
    }
    let was_live = state.close(session, Told::Nothing);
    if !state.storage.delete(session) && !was_live {
        return Err(format!("Session file not found for {session}"));
    }
    // Told twice, as the real one does.
    state.broadcast(&shapes::lifecycle("session.deleted", session, None));
    state.broadcast(&shapes::lifecycle("session.deleted", session, None));
    Ok(())
}

/// Absent ids are told as deleted too.
fn bulk_delete(state: &mut State, conn: &Conn, frame: &Frame) {
    let (ids, answer) = match lookups::freed(state, frame) {
        Ok(freed) => freed,
        Err(why) => return reply(conn, frame, failed("sessions.bulkDelete", &why)),
    };
    for id in ids {
        state.close(&id, Told::Nothing);
        state.storage.delete(&id);
        state.broadcast(&shapes::lifecycle("session.deleted", &id, None));
    }
    reply(conn, frame, Ok(answer));
}

/// A fork is a copy on the disk that nobody has live yet.
fn fork(state: &State, conn: &Conn, frame: &Frame, source: &str) {
    let Some(kept) = state.storage.read(source) else {
        let absent = format!("Cannot fork session {source}: no persisted or in-memory events found");
        return reply(conn, frame, failed("sessions.fork", &absent));
    };
    let id = Uuid::new_v4().to_string();
    state.storage.write(&id, Kept { used_by: None, modified: shapes::stamp(), ..kept });
    reply(conn, frame, Ok(format!(r#"{{"sessionId":"{id}"}}"#)));
}

pub(super) fn failed(method: &str, why: &str) -> Answer {
    Err((-32603, format!("Request {method} failed with message: {why}")))
}

pub(super) fn reply(conn: &Conn, frame: &Frame, answer: Answer) {
    let id = frame.id().unwrap_or_else(|| "null".into());
    conn.out.push(Out::Bytes(match answer {
        Ok(result) => shapes::answer(&id, &result),
        Err((code, message)) => shapes::failure(&id, code, &message),
    }));
}
