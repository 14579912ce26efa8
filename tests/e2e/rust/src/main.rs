//! What the Rust SDK does, against the server at `ADDRESS` with the model at `MODEL`; every step that holds prints a line.
#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use github_copilot_sdk::handler::ApproveAllHandler;
use github_copilot_sdk::session::Session;
use github_copilot_sdk::tool::ToolHandler;
use github_copilot_sdk::types::{
    MessageOptions, ProviderConfig, ResumeSessionConfig, SessionConfig, SessionId, Tool, ToolInvocation, ToolResult,
};
use github_copilot_sdk::{CliProgram, Client, ClientOptions, Transport};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let address = std::env::var("ADDRESS")?;
    let (host, port) = address.split_once(':').ok_or("ADDRESS is HOST:PORT")?;
    let transport = Transport::External { host: host.to_owned(), port: port.parse()?, connection_token: None };
    // The SDK insists on a program though it starts none for an external server.
    let program = CliProgram::Path("unused".into());
    let client = Client::start(ClientOptions::default().with_program(program).with_transport(transport)).await?;
    expect("ping", &client.ping(Some("hello")).await?.message, "pong: hello")?;
    converse(&client, &std::env::var("MODEL")?).await?;
    client.stop().await?;
    Ok(())
}

async fn converse(client: &Client, model: &str) -> Outcome<()> {
    let provider = ProviderConfig::new(model).with_provider_type("openai");
    let config = SessionConfig::default()
        .with_model("demo")
        .with_provider(provider.clone())
        .with_permission_handler(Arc::new(ApproveAllHandler))
        .with_streaming(true)
        .with_tools([add()]);
    let session = client.create_session(config).await?;
    let id = session.id().clone();
    let mut events = session.subscribe();
    expect("create and send", &ask(&session, "hello there").await?, "You said: hello there")?;
    let mut streamed = String::new();
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await??;
        match event.event_type.as_str() {
            "assistant.message_delta" => streamed += event.data["deltaContent"].as_str().unwrap_or_default(),
            "session.idle" => break,
            _ => {}
        }
    }
    expect("stream", &streamed, "You said: hello there")?;
    expect("tool", &ask(&session, r#"[[tool:add {"a":19,"b":23}]]"#).await?, "add returned: 42")?;
    session.disconnect().await?;
    let config = ResumeSessionConfig::new(id.clone())
        .with_model("demo")
        .with_provider(provider)
        .with_permission_handler(Arc::new(ApproveAllHandler));
    let session = client.resume_session(config).await?;
    let history = ask(&session, "[[history]] more").await?;
    expect("resume", &history, "3 user messages: hello there |  | more")?;
    expect("list", &listed(client, &id).await?.to_string(), "1")?;
    session.disconnect().await?;
    client.delete_session(&id).await?;
    expect("delete", &listed(client, &id).await?.to_string(), "0")
}

async fn ask(session: &Session, prompt: &str) -> Outcome<String> {
    let answer = session.send_and_wait(MessageOptions::new(prompt).with_wait_timeout(PATIENCE)).await?;
    let answer = answer.ok_or("no answer")?;
    Ok(answer.data["content"].as_str().unwrap_or_default().to_owned())
}

async fn listed(client: &Client, id: &SessionId) -> Outcome<usize> {
    let sessions = client.list_sessions(None).await?;
    Ok(sessions.iter().filter(|found| found.session_id == *id).count())
}

fn add() -> Tool {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}});
    Tool::new("add").with_description("Adds two numbers").with_parameters(parameters).with_handler(Arc::new(Add))
}

struct Add;

#[async_trait::async_trait]
impl ToolHandler for Add {
    async fn call(&self, invocation: ToolInvocation) -> Result<ToolResult, github_copilot_sdk::Error> {
        let number = |name: &str| invocation.arguments[name].as_i64().unwrap_or_default();
        Ok(ToolResult::Text((number("a") + number("b")).to_string()))
    }
}

fn expect(step: &str, actual: &str, expected: &str) -> Outcome<()> {
    if actual != expected {
        return Err(format!("{step}: {actual:?} instead of {expected:?}").into());
    }
    println!("ok {step}");
    Ok(())
}
