//! The JSON shapes of the answers: chat completion, its chunks, the list of models, errors.

use serde_json::{Value, json};

use super::MODEL_NAME;
use super::script::{Answer, Call, Plan, ToolCall};

/// Seconds since 1970 that every answer carries: the model has no clock, and nobody reads it.
const CREATED: u64 = 1_700_000_000;

/// The answer to `/v1/models`.
pub(super) fn models() -> Value {
    json!({"object": "list", "data": [{"id": MODEL_NAME, "object": "model", "created": CREATED, "owned_by": "pilotfish"}]})
}

/// The body of a refusal.
pub(super) fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error"}})
}

/// The whole answer at once.
pub(super) fn whole(call: &Call, plan: &Plan) -> Value {
    let message = match &plan.answer {
        Answer::Text(text) => json!({"role": "assistant", "content": text}),
        Answer::Tools(tools) => json!({"role": "assistant", "content": null, "tool_calls": tool_calls(tools)}),
    };
    let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason(&plan.answer)});
    envelope(call, "chat.completion", json!([choice]), Some(usage(&plan.answer)))
}

/// The answer as the JSON texts of its chunks: one for each word, then the reason for the end, then the usage.
pub(super) fn pieces(call: &Call, plan: &Plan) -> Vec<String> {
    let deltas = match &plan.answer {
        Answer::Text(text) => text.split_inclusive(' ').map(|word| json!({"content": word})).collect(),
        Answer::Tools(tools) => vec![json!({"tool_calls": tool_calls(tools)})],
    };
    let opening = std::iter::once(json!({"role": "assistant"}));
    let mut pieces: Vec<String> = opening
        .chain(deltas)
        .map(|delta| chunk(call, json!([{"index": 0, "delta": delta, "finish_reason": null}]), None))
        .collect();
    let end = json!([{"index": 0, "delta": {}, "finish_reason": finish_reason(&plan.answer)}]);
    pieces.push(chunk(call, end, None));
    pieces.push(chunk(call, json!([]), Some(usage(&plan.answer))));
    pieces
}

fn chunk(call: &Call, choices: Value, usage: Option<Value>) -> String {
    envelope(call, "chat.completion.chunk", choices, usage).to_string()
}

fn envelope(call: &Call, object: &str, choices: Value, usage: Option<Value>) -> Value {
    let mut envelope =
        json!({"id": "chatcmpl-demo", "object": object, "created": CREATED, "model": call.model, "choices": choices});
    if let Some(usage) = usage {
        envelope["usage"] = usage;
    }
    envelope
}

fn tool_calls(tools: &[ToolCall]) -> Value {
    let calls = tools.iter().enumerate().map(|(index, tool)| {
        let function = json!({"name": tool.name, "arguments": tool.arguments});
        json!({"index": index, "id": tool.id, "type": "function", "function": function})
    });
    Value::Array(calls.collect())
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer {
        Answer::Text(_) => "stop",
        Answer::Tools(_) => "tool_calls",
    }
}

/// A word counts as a token: the CLI wants figures, nobody pays for them.
fn usage(answer: &Answer) -> Value {
    let words = match answer {
        Answer::Text(text) => text.split(' ').count(),
        Answer::Tools(tools) => tools.len(),
    };
    json!({"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1})
}
