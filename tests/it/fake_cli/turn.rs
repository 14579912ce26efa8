//! A turn: from `user.message` to `session.idle`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    live::State,
    pending::{self, Pending},
    script::Step,
    server::Inner,
    shapes::{self, quote},
};

/// Starts a turn, or queues it behind the running one.
pub fn send(inner: &Arc<Inner>, state: &mut State, session: &str, message: String, prompt: String) {
    let Some(live) = state.live.get_mut(session) else { return };
    if live.turn.is_some() {
        live.waiting.push_back((message, prompt));
        return;
    }
    let cut = CancellationToken::new();
    live.turn = Some(cut.clone());
    let turn = Turn { inner: inner.clone(), session: session.into(), message, cut };
    tokio::spawn(async move {
        tokio::select! {
            () = turn.cut.cancelled() => {}
            () = turn.play(&prompt) => {}
        }
    });
}

/// Cuts the running turn with the events of the real one's abort, all of them before the answer. What is queued is dropped.
pub fn abort(state: &mut State, session: &str) {
    if cut(state, session) {
        state.emit(session, "abort", r#"{"reason":"user_initiated"}"#, false);
        state.emit(session, "assistant.turn_end", r#"{"turnId":"0"}"#, false);
        state.commit(session);
        state.emit(session, "assistant.idle", r#"{"aborted":true}"#, true);
        state.emit(session, "session.idle", r#"{"aborted":true,"mode":"interactive"}"#, true);
    }
}

/// As an abort, but nothing in the history says that it was one.
pub fn suspend(state: &mut State, session: &str) {
    if cut(state, session) {
        state.emit(session, "agent.interrupted", "{}", true);
        state.emit(session, "assistant.turn_end", r#"{"turnId":"0"}"#, false);
        state.commit(session);
        state.emit(session, "session.idle", r#"{"mode":"interactive"}"#, true);
    }
}

fn cut(state: &mut State, session: &str) -> bool {
    let Some(live) = state.live.get_mut(session) else { return false };
    live.waiting.clear();
    live.pending.clear();
    let turn = live.turn.take();
    turn.iter().for_each(CancellationToken::cancel);
    turn.is_some()
}

struct Turn {
    inner: Arc<Inner>,
    session: String,
    message: String,
    cut: CancellationToken,
}

impl Turn {
    async fn play(&self, prompt: &str) {
        self.begin(prompt);
        let hooks = self.inner.state().live.get(&self.session).is_some_and(|live| live.hooks);
        if hooks {
            let input = format!(
                r#""hookType":"userPromptSubmitted","input":{{"sessionId":{},"prompt":{},"timestamp":1795503773908,"cwd":"/work"}}"#,
                quote(&self.session),
                quote(prompt)
            );
            self.ask("hooks.invoke", &input).await;
        }
        self.emit("assistant.turn_start", r#"{"turnId":"0"}"#, false);
        let steps = self.inner.state().steps.clone();
        let answer = Uuid::new_v4().to_string();
        let mut text = String::new();
        for step in steps {
            self.step(step, &answer, &mut text).await;
        }
        let data = format!(
            r#"{{"messageId":"{answer}","originatingMessageId":{},"model":"fake","content":{},"toolRequests":[],"turnId":"0"}}"#,
            quote(&self.message),
            quote(&text)
        );
        self.emit("assistant.message", &data, false);
        self.finish();
    }

    fn begin(&self, prompt: &str) {
        let data = format!(
            r#"{{"content":{},"messageId":{},"delivery":"idle","turnId":"0"}}"#,
            quote(prompt),
            quote(&self.message)
        );
        let mut state = self.inner.state();
        if self.cut.is_cancelled() {
            return;
        }
        state.storage.disk().homes.execute(prompt, &self.inner.name);
        state.emit(&self.session, "user.message", &data, false);
        if let Some(live) = state.live.get_mut(&self.session).filter(|live| live.kept.summary.is_empty()) {
            live.kept.summary = prompt.chars().take(40).collect();
        }
    }

    async fn step(&self, step: Step, answer: &str, text: &mut String) {
        match step {
            Step::Delta(delta) => {
                text.push_str(&delta);
                let data = format!(r#"{{"messageId":"{answer}","deltaContent":{}}}"#, quote(&delta));
                self.emit("assistant.message_delta", &data, true);
            }
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::Wait(gate) => gate.pass().await,
            Step::Ask { method, params } => self.ask(&method, &params).await,
            Step::Tool(name) => text.push_str(&self.pending(&name, false).await),
            Step::Permission(command) => text.push_str(&self.pending(&command, true).await),
            Step::Mute(muted) => self.inner.state().muted = muted,
            Step::Die(how) => self.inner.die(how),
            Step::Event { kind, data, ephemeral } => self.emit(&kind, &data, ephemeral),
        }
    }

    /// A client tool or a permission, from the event that asks for it to those that say how it went.
    async fn pending(&self, tool: &str, permission: bool) -> String {
        let (request, call) = (Uuid::new_v4().to_string(), format!("call_{}", Uuid::new_v4()));
        let (pending, answered) = Pending::new(&request, &call, permission);
        let start = format!(r#"{{"toolCallId":"{call}","toolName":{}}}"#, quote(tool));
        self.emit("tool.execution_start", &start, false);
        let (kind, data) = pending.event(&self.session, tool);
        if let Some(live) = self.inner.state().live.get_mut(&self.session) {
            live.pending.push(pending);
        }
        self.emit(kind, &data, false);
        let answer = answered.await.unwrap_or_default();
        let (success, said) = if permission {
            let (granted, kind) = pending::decision(&answer);
            let data = format!(r#"{{"requestId":"{request}","toolCallId":"{call}","result":{{"kind":"{kind}"}}}}"#);
            self.emit("permission.completed", &data, false);
            (granted, kind.to_owned())
        } else {
            self.emit("external_tool.completed", &format!(r#"{{"requestId":"{request}"}}"#), false);
            pending::outcome(&answer)
        };
        self.emit("tool.execution_complete", &format!(r#"{{"toolCallId":"{call}","success":{success}}}"#), false);
        said
    }

    /// Asks the client and waits for its answer as long as it takes, as the real one does.
    async fn ask(&self, method: &str, params: &str) {
        let answered = self.inner.ask(&self.session, method, params);
        if let Some(answered) = answered {
            answered.await.ok();
        }
    }

    fn finish(&self) {
        let mut state = self.inner.state();
        if self.cut.is_cancelled() {
            return;
        }
        state.emit(&self.session, "assistant.turn_end", r#"{"turnId":"0"}"#, false);
        state.commit(&self.session);
        state.storage.claim(&self.session, Some(&self.inner.name));
        state.lifecycle("session.updated", &self.session);
        let Some(live) = state.live.get_mut(&self.session) else { return };
        live.turn = None;
        match live.waiting.pop_front() {
            Some((message, prompt)) => send(&self.inner, &mut state, &self.session, message, prompt),
            None => {
                self.inner.changed.send_replace(());
                state.emit(&self.session, "assistant.idle", "{}", true);
                state.emit(&self.session, "session.idle", r#"{"mode":"interactive"}"#, true);
            }
        }
    }

    fn emit(&self, kind: &str, data: &str, ephemeral: bool) {
        let mut state = self.inner.state();
        // Under the lock: an abort and this turn's own events never mix.
        if !self.cut.is_cancelled() {
            state.emit(&self.session, kind, data, ephemeral);
        }
    }
}

/// The answer to `session.send`.
pub fn accepted(message: &str) -> String {
    format!(r#"{{"messageId":{}}}"#, shapes::quote(message))
}
