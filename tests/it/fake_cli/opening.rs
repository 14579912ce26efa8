//! How a session comes to be live: `session.create`, `session.resume` and `sessions.open`.

use uuid::Uuid;

use super::{
    conn::Conn,
    live::{Live, State},
    lookups,
    methods::{failed, reply},
    record::Frame,
    shapes,
    storage::Kept,
};

pub fn create(state: &mut State, conn: &Conn, frame: &Frame) {
    let session = match frame.session() {
        "" => Uuid::new_v4().to_string(),
        id => id.to_owned(),
    };
    let legal = session.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !legal {
        let why = format!("Rejected session.create request with invalid sessionId: {session}");
        return reply(conn, frame, failed("session.create", &why));
    }
    if state.live.contains_key(&session) {
        return attach(state, conn, frame, &session);
    }
    let start = shapes::stamp();
    let kept =
        Kept { start: start.clone(), modified: start, summary: String::new(), events: Vec::new(), used_by: None };
    let start = kept.start.clone();
    admit(state, conn, frame, &session, kept);
    state.lifecycle("session.created", &session);
    reply(conn, frame, Ok(shapes::opened(&session, &start)));
    let data = format!(
        r#"{{"sessionId":{},"version":1,"producer":"copilot-agent","copilotVersion":"1.0.102","startTime":"{start}","alreadyInUse":false}}"#,
        shapes::quote(&session)
    );
    state.emit(&session, "session.start", &data, false);
}

pub fn resume(state: &mut State, conn: &Conn, frame: &Frame) {
    let session = lookups::resolved(state, frame.session());
    if state.live.contains_key(&session) {
        return attach(state, conn, frame, &session);
    }
    let Some(kept) = state.storage.read(&session) else {
        let why = format!("Failed to load session events: Session not found: {session}");
        return reply(conn, frame, failed("session.resume", &why));
    };
    let start = kept.start.clone();
    let in_use = state.storage.disk().homes.elsewhere(&session, &state.process);
    if in_use {
        state.storage.disk().homes.in_use();
    }
    admit(state, conn, frame, &session, kept);
    reply(conn, frame, Ok(shapes::opened(&session, &start)));
    resumed(state, frame, &session, in_use);
}

fn admit(state: &mut State, conn: &Conn, frame: &Frame, session: &str, kept: Kept) {
    let live = Live {
        attached: vec![conn.id],
        parent: kept.events.last().map(|entry| entry.id.clone()),
        log: kept.events.clone(),
        kept,
        turn: None,
        waiting: Default::default(),
        hooks: frame.params()["hooks"] == true,
        pending: Vec::new(),
        tools: tools(frame).map(|name| (name, conn.id)).collect(),
    };
    state.live.insert(session.into(), live);
    state.most_live = state.most_live.max(state.live.len());
    let process = state.process.clone();
    state.storage.make(session);
    state.storage.claim(session, Some(&process));
    state.storage.disk().homes.enter(session, &process);
}

/// The names of the client tools in the params.
fn tools(frame: &Frame) -> impl Iterator<Item = String> + '_ {
    let tools = frame.params()["tools"].as_array().into_iter().flatten();
    tools.filter_map(|tool| tool["name"].as_str().map(Into::into))
}

/// A create or resume of a session that is live here: one more connection hears it, and so do those that are there already.
fn attach(state: &mut State, conn: &Conn, frame: &Frame, session: &str) {
    let Some(live) = state.live.get_mut(session) else { return };
    let taken = tools(frame).find(|name| live.tools.get(name).is_some_and(|owner| *owner != conn.id));
    if let Some(name) = taken {
        let why = format!("External tool name clash: {name} already registered by another connection");
        return reply(conn, frame, failed(frame.method(), &why));
    }
    live.tools.retain(|_, owner| *owner != conn.id);
    live.tools.extend(tools(frame).map(|name| (name, conn.id)));
    live.attached.retain(|other| *other != conn.id);
    live.attached.push(conn.id);
    live.hooks |= frame.params()["hooks"] == true;
    let start = live.kept.start.clone();
    reply(conn, frame, Ok(shapes::opened(session, &start)));
    resumed(state, frame, session, false);
}

fn resumed(state: &mut State, frame: &Frame, session: &str, in_use: bool) {
    if frame.params()["disableResume"] == true {
        return;
    }
    let active = state.live.get(session).is_some_and(|live| live.turn.is_some());
    let data = format!(r#"{{"resumeTime":"{}","alreadyInUse":{in_use},"sessionWasActive":{active}}}"#, shapes::stamp());
    state.emit(session, "session.resume", &data, false);
    state.emit(session, "session.managed_settings_resolved", r#"{"source":"none"}"#, true);
    state.lifecycle("session.updated", session);
}

/// The kinds that find a session by its id or the beginning of one.
pub fn open(state: &mut State, conn: &Conn, frame: &Frame) {
    let resumes = frame.params()["kind"] == "resume";
    let session = if resumes { lookups::resolved(state, frame.session()) } else { frame.session().to_owned() };
    if !state.live.contains_key(&session) {
        let kept = state.storage.read(&session).filter(|_| resumes);
        let Some(kept) = kept else { return reply(conn, frame, Ok(r#"{"status":"not_found"}"#.into())) };
        admit(state, conn, frame, &session, kept);
    } else if let Some(live) = state.live.get_mut(&session) {
        live.attached.retain(|other| *other != conn.id);
        live.attached.push(conn.id);
    }
    reply(conn, frame, Ok(format!(r#"{{"status":"resumed","sessionId":{}}}"#, shapes::quote(&session))));
}
