//! What to answer: decided by the last user message and what followed it.
//!
//! | directive | effect |
//! | --- | --- |
//! | `[[delay:MS]]` | what follows the first word is spread over that many milliseconds |
//! | `[[words:N]]` | the answer is `word-1 word-2 ... word-N` |
//! | `[[tool:NAME {json}]]` | calls the tool with these arguments; when its result is there, answers `NAME returned: RESULT` |
//! | `[[history]]` | answers with the number and the texts of the user messages that came with the call |
//!
//! Otherwise the answer is `You said: ` and the message without its directives. Several tools may be called in one message.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// The part of a chat completion call that decides the answer.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) stream: bool,
    pub(super) messages: Vec<Message>,
}

/// One message of the conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    role: String,
    /// A string, or a list of parts of which the texts count.
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_call_id: String,
}

/// The answer and the time that it takes.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) answer: Answer,
}

/// What the model says.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Text(String),
    Tools(Vec<ToolCall>),
}

/// One call of a tool; its id says which prompt and which directive it belongs to.
#[derive(Debug, PartialEq)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text of an object.
    pub(super) arguments: String,
}

/// Most words that one answer holds; a larger wish gets this many.
const MAX_WORDS: usize = 1_000_000;

/// Tags of the notes that the CLI may put before a prompt; the last one was seen after a change of model (1.0.102).
const BLOCKS_OF_THE_CLI: [&str; 3] = ["current_datetime", "system_reminder", "tools_changed_notice"];

/// Decides the answer to a conversation.
pub(super) fn plan(messages: &[Message]) -> Plan {
    let last = messages.iter().rposition(|message| message.role == "user");
    let (prompt, after) = match last {
        Some(at) => (text(&messages[at].content), &messages[at + 1..]),
        None => (String::new(), messages),
    };
    let wish = Wish::parse(&prompt);
    let results: Vec<&Message> = after.iter().filter(|message| message.role == "tool").collect();
    let turn = messages.iter().filter(|message| message.role == "user").count();
    let answer = if !wish.tools.is_empty() && results.is_empty() {
        Answer::Tools(wish.tools.iter().enumerate().map(|(at, tool)| tool.call(turn, at)).collect())
    } else if !results.is_empty() {
        Answer::Text(report(&wish, &results))
    } else if wish.history {
        Answer::Text(history(messages))
    } else if let Some(count) = wish.words {
        Answer::Text(words(count))
    } else {
        Answer::Text(format!("You said: {}", wish.rest))
    };
    Plan { delay: wish.delay, answer }
}

/// A prompt taken apart.
#[derive(Debug, Default)]
struct Wish {
    delay: Duration,
    words: Option<usize>,
    history: bool,
    tools: Vec<ToolWish>,
    /// The prompt without its directives.
    rest: String,
}

#[derive(Debug)]
struct ToolWish {
    name: String,
    arguments: Value,
}

impl ToolWish {
    fn call(&self, turn: usize, at: usize) -> ToolCall {
        ToolCall { id: format!("call_{turn}_{at}"), name: self.name.clone(), arguments: self.arguments.to_string() }
    }
}

impl Wish {
    fn parse(prompt: &str) -> Self {
        let mut wish = Self::default();
        let mut left = prompt;
        while let Some(open) = left.find("[[") {
            wish.rest.push_str(&left[..open]);
            let inner = &left[open + 2..];
            match wish.directive(inner) {
                Some(length) => left = &inner[length..],
                None => {
                    wish.rest.push_str("[[");
                    left = inner;
                }
            }
        }
        wish.rest.push_str(left);
        wish.rest = wish.rest.trim().to_owned();
        wish
    }

    /// Takes the directive that `inner` starts with and returns its length with the closing brackets; `None`: it is plain text.
    fn directive(&mut self, inner: &str) -> Option<usize> {
        if let Some(tool) = inner.strip_prefix("tool:") {
            let (wish, length) = ToolWish::parse(tool)?;
            self.tools.push(wish);
            return Some("tool:".len() + length);
        }
        let end = inner.find("]]")?;
        match inner[..end].split_once(':') {
            None if &inner[..end] == "history" => self.history = true,
            Some(("delay", value)) => self.delay = Duration::from_millis(value.parse().ok()?),
            Some(("words", value)) => self.words = Some(value.parse::<usize>().ok()?.min(MAX_WORDS)),
            _ => return None,
        }
        Some(end + 2)
    }
}

impl ToolWish {
    /// Reads `NAME {json}]]`; the arguments may hold `]]` themselves, so the JSON reader decides where they end.
    fn parse(text: &str) -> Option<(Self, usize)> {
        let end = text.find([' ', ']'])?;
        let name = text[..end].to_owned();
        if let Some(rest) = text[end..].strip_prefix("]]") {
            return Some((Self { name, arguments: Value::Object(Default::default()) }, text.len() - rest.len()));
        }
        let mut values = serde_json::Deserializer::from_str(&text[end..]).into_iter::<Value>();
        let arguments = values.next()?.ok()?;
        let rest = text[end + values.byte_offset()..].trim_start().strip_prefix("]]")?;
        Some((Self { name, arguments }, text.len() - rest.len()))
    }
}

fn report(wish: &Wish, results: &[&Message]) -> String {
    let named = results.iter().enumerate().map(|(at, message)| {
        // Results come in any order; the id that we gave the call says which directive it answers.
        let index = message.tool_call_id.rsplit('_').next().and_then(|index| index.parse().ok()).unwrap_or(at);
        let name = wish.tools.get(index).map_or("tool", |tool| tool.name.as_str());
        format!("{name} returned: {}", text(&message.content))
    });
    named.collect::<Vec<_>>().join("\n")
}

fn history(messages: &[Message]) -> String {
    let prompts: Vec<String> = messages
        .iter()
        .filter(|message| message.role == "user")
        .map(|message| Wish::parse(&text(&message.content)).rest)
        .collect();
    format!("{} user messages: {}", prompts.len(), prompts.join(" | "))
}

fn words(count: usize) -> String {
    (1..=count).map(|number| format!("word-{number}")).collect::<Vec<_>>().join(" ")
}

/// The text of a message's content, without the blocks that the CLI puts around the user's own words.
fn text(content: &Value) -> String {
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    BLOCKS_OF_THE_CLI.iter().fold(text, |text, tag| without_block(text, tag)).trim().to_owned()
}

fn without_block(text: String, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    match (text.find(&open), text.find(&close)) {
        (Some(start), Some(end)) if start < end => text[..start].to_owned() + &text[end + close.len()..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(messages: Value) -> Plan {
        plan(&serde_json::from_value::<Vec<Message>>(messages).unwrap())
    }

    fn said(prompt: &str) -> Plan {
        planned(json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": prompt}]))
    }

    fn text_of(plan: Plan) -> String {
        match plan.answer {
            Answer::Text(text) => text,
            Answer::Tools(tools) => panic!("{tools:?}"),
        }
    }

    #[test]
    fn echoes_by_default() {
        assert_eq!(text_of(said("hello")), "You said: hello");
        assert_eq!(text_of(said("[[what]] is [[delay:x]] this [[")), "You said: [[what]] is [[delay:x]] this [[");
        assert_eq!(text_of(planned(json!([]))), "You said: ");
    }

    #[test]
    fn reads_parts_and_drops_the_blocks_of_the_cli() {
        let content =
            json!([{"type": "text", "text": "<current_datetime>now</current_datetime>\n\nhi"}, {"type": "image_url"}]);
        assert_eq!(text_of(planned(json!([{"role": "user", "content": content}]))), "You said: hi");
    }

    #[test]
    fn delays_and_counts() {
        let plan = said("[[delay:250]][[words:3]]");
        assert_eq!(plan.delay, Duration::from_millis(250));
        assert_eq!(text_of(plan), "word-1 word-2 word-3");
    }

    #[test]
    fn calls_a_tool_then_reports_its_result() {
        let prompt = r#"[[tool:add {"a":1,"note":"]]"}]] [[tool:now]]"#;
        let Answer::Tools(tools) = said(prompt).answer else { panic!("no tool call") };
        assert_eq!(tools[0].arguments, r#"{"a":1,"note":"]]"}"#);
        assert_eq!((tools[1].name.as_str(), tools[1].arguments.as_str()), ("now", "{}"));
        let answered = planned(json!([
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "tool_call_id": tools[1].id, "content": "noon"},
            {"role": "tool", "tool_call_id": tools[0].id, "content": [{"type": "text", "text": "3"}]},
        ]));
        assert_eq!(text_of(answered), "now returned: noon\nadd returned: 3");
    }

    #[test]
    fn tells_the_history() {
        let told = planned(json!([
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "You said: first"},
            {"role": "user", "content": "[[history]] second"},
        ]));
        assert_eq!(text_of(told), "2 user messages: first | second");
    }
}
